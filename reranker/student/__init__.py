"""Finding, loading and naming the weights of a student."""

"""Questions put to a ranking that exists: analyses that return frozen data and draw nothing."""

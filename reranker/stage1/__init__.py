"""Stage 1: pointwise scores of (query, passage) pairs, raw logits in input order."""

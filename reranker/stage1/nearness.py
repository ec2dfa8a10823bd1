"""How near passages are to the best of the others, and which of them leads.

Takes the logits of passages and their pooled embeddings, returns cosines and a position. Where a
query's words stand in a passage in another sense, the rest of it is seldom near the best ones:
told from passages of the same subject (SQuAD dev) or of any use (everyday-science), nearness errs
less often than the logit and than the cosine to the query. Knows no model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

BEST = 2
"""To how many of the best other passages a passage's nearness is measured."""
LEADER_NEARNESS = 0.6
"""What nearness weighs beside the logit, both z-scored, in choosing the passage that leads."""


def measure_nearness(
    logits: Sequence[float], pooled: Sequence[torch.Tensor]
) -> list[tuple[float, ...]]:
    """Each passage's cosines to the best others by `logits`, the best one first (see PassageScore).

    pooled: a unit vector [hidden] a passage. A passage that has no others has no cosines.
    """
    best = sorted(range(len(logits)), key=lambda place: -logits[place])[: BEST + 1]
    together = torch.stack(list(pooled))
    return [
        tuple(c for other, c in zip(best, row, strict=True) if other != place)[:BEST]
        for place, row in enumerate((together @ together[best].T).tolist())
    ]


def find_leader(logits: Sequence[float], nearness: Sequence[tuple[float, ...]]) -> int:
    """The position of the passage that leads by its logit and its nearness to the best other: the
    strongest one may use the query's words in a sense of its own."""
    near = np.array([cosines[0] for cosines in nearness])
    raw = np.array(logits)
    return int(np.argmax(raw / (raw.std() or 1.0) + LEADER_NEARNESS * near / (near.std() or 1.0)))

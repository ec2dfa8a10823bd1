"""Which verdicts the evidence digest of a passage leaves open.

Takes a `Digest`, returns the verdicts a student may give: decoding offers no others, and training
teaches no others. Knows no model and no prompt.
"""

from __future__ import annotations

from reranker.digest import STRENGTH_LEVELS, Digest
from reranker.types import VERDICTS, Verdict

# From which nearness, in tenths, a passage is taken to be on the topic: any passage, one of this
# strength, and one with a word of the query in its title.
NEAR, STRONG_NEAR, TITLED_NEAR = 5, 4, 3
STRONG = 6
# What is said only of passages on the topic.
TOPICAL: tuple[Verdict, ...] = ("partial", "related")


def open_verdicts(digest: Digest) -> tuple[Verdict, ...]:
    """The verdicts that what is known of a passage leaves open, in the order of VERDICTS.

    The strongest passage is never off topic where it lacks no word of the query.
    """
    if digest.strength == STRENGTH_LEVELS and digest.covers and not digest.lacks:
        return tuple(verdict for verdict in VERDICTS if verdict != "off_topic")
    shown = shows_topic(digest)
    return tuple(verdict for verdict in VERDICTS if shown or verdict not in TOPICAL)


def shows_topic(digest: Digest) -> bool:
    """Whether a passage may be called related, or a part of the answer, by what is known of it.

    A passage can share the query's words in another sense. Of what is on the topic by this rule
    four fifths are of the gold's article on SQuAD dev, and graded 1 and more on DL21; of the rest
    0.64 and 0.37 at a nearness of 0.4, 0.37 and 0.17 at 0.3, and hardly any below
    (benchmarks.reasons). Where nearness was not measured nothing is known.
    """
    near = digest.nearness
    if near is None or near >= NEAR:
        return True
    strong = digest.strength >= STRONG and near >= STRONG_NEAR
    return strong or (digest.titled and near >= TITLED_NEAR)

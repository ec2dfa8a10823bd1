"""What a person put to the queries of a comparison: a mark, tags, a comment.

Takes what a form holds, returns a `Remark`; a comparison keeps one for a query. Knows no run and
no component.
"""

from __future__ import annotations

from dataclasses import dataclass

from reranker.errors import InputError

MAX_TAGS = 10
MAX_TAG_CHARS = 40
MAX_COMMENT_CHARS = 2_000
MAX_TAGS_CHARS = MAX_TAGS * (MAX_TAG_CHARS + 2)
MARKED, COMMENTED = "marked", "commented"


@dataclass(frozen=True, kw_only=True, slots=True)
class Remark:
    """On one query. tags: lower case, each once, in the order they were written."""

    marked: bool = False
    tags: tuple[str, ...] = ()
    comment: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """Everything the query can be found by: MARKED, COMMENTED and the tags."""
        told = ((MARKED, self.marked), (COMMENTED, bool(self.comment)))
        return (*(word for word, holds in told if holds), *self.tags)


def make_remark(*, marked: bool, tags: str, comment: str) -> Remark:
    """The remark of a form. tags: between commas. Raises InputError where it is too long."""
    found = (" ".join(tag.split()).casefold() for tag in tags.split(","))
    words = tuple(dict.fromkeys(word for word in found if word))
    longest = max((len(word) for word in words), default=0)
    if len(words) > MAX_TAGS or longest > MAX_TAG_CHARS:
        raise InputError(
            f"expected at most {MAX_TAGS} tags of {MAX_TAG_CHARS} characters, got {len(words)}, "
            f"the longest of {longest}; write fewer and shorter ones, with commas between them"
        )
    if len(comment) > MAX_COMMENT_CHARS:
        raise InputError(
            f"expected a comment of at most {MAX_COMMENT_CHARS:,} characters, got "
            f"{len(comment):,}; shorten it"
        )
    return Remark(marked=marked, tags=words, comment=comment.strip())

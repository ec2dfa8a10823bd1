"""Training queries of several styles: questions as asked, keywords, topics and statements.

Takes a question, or a chunk and its neighbour, returns query texts. Knows no model. People type
web queries and check claims as well as ask questions; a student trained on one style alone
ranks badly for the others.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from reranker.retrieval.tokenize import tokenize_query
from reranker.sentences import split_sentences

_TOPIC_FORMS = (
    "what is {t}", "{t}", "{t} definition", "define {t}", "{t} meaning", "how does {t} work",
    "facts about {t}", "history of {t}", "{t} examples", "why is {t} important",
)  # fmt: skip
KEYWORDS = (2, 5)
STATEMENT_CHARS = (40, 220)


def vary_query(question: str, random_: random.Random) -> str:
    """The question as it is, in lower case without its mark, or as keywords."""
    draw = random_.random()
    if draw < 0.45:
        return question
    bare = question.strip().rstrip("?").strip().lower()
    if draw < 0.75:
        return bare
    words = [word.surface for word in tokenize_query(bare)]
    return " ".join(words) if len(words) >= 2 else bare


def write_topic_query(title: str, random_: random.Random) -> str:
    """A short web query about an article."""
    return random_.choice(_TOPIC_FORMS).format(t=title.replace("_", " ").lower())


def write_keyword_query(
    text: str, title: str, rarity: Mapping[str, float], random_: random.Random
) -> str:
    """The rarest words of one sentence in their order, sometimes after the title; "" where the
    sentence has too few. rarity: a stem's inverse document frequency."""
    spans = split_sentences(text)
    start, end = random_.choice(spans) if spans else (0, 0)
    words = list({word.stem: word for word in tokenize_query(text[start:end])}.values())
    if len(words) < KEYWORDS[0] + 1:
        return ""
    count = random_.randint(*KEYWORDS)
    rarest = sorted(words, key=lambda word: -rarity.get(word.stem, 0.0))[: 2 * count]
    chosen = set(random_.sample(rarest, min(count, len(rarest))))
    keywords = " ".join(word.surface.lower() for word in words if word in chosen)
    named = random_.random() < 0.3
    return f"{title.replace('_', ' ').lower()} {keywords}" if named else keywords


def write_statement(text: str, random_: random.Random) -> str:
    """A sentence of `text` as a claim to check; "" where none has a fit length."""
    low, high = STATEMENT_CHARS
    fit = [text[s:e] for s, e in split_sentences(text) if low <= e - s <= high]
    return random_.choice(fit) if fit else ""

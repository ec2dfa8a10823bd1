"""Collections by name: where their files are published, and fetching them once.

Takes a name, returns a `Collection` made of files in the cache folder; downloads what is not
there yet. Knows addresses, licences and HTTP; reads nothing itself (see `collection.py`). A
collection whose licence has to be signed is named too, with the place to sign it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import httpx

from reranker.config import cache_dir
from reranker.corpora.limits import MAX_FILE_BYTES
from reranker.errors import InputError
from reranker.evaluation.collection import DEFAULT_DEPTH, Collection, load_beir, load_candidates

TIMEOUT_SECONDS = 60.0
_HUB = "https://huggingface.co/datasets"
_NIST = "https://trec.nist.gov/data/deep"
_NOVEL = "https://raw.githubusercontent.com/sunnweiwei/RankGPT/main/NovelEval"


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedCollection:
    """A published collection.

    files: file name -> address. form: how they are laid out once they are here. sign_at: where
    a licence has to be signed first; then there are no files, and the path of a copy in BEIR
    layout has to be given instead of the name.
    """

    name: str
    title: str
    form: Literal["candidates", "beir"]
    licence: str
    files: Mapping[str, str]
    note: str = ""
    sign_at: str = ""


def _deep_learning(year: int) -> NamedCollection:
    short = f"dl{year % 100}"
    hits = f"retrieve_results/BM25/retrieve_results_{short}_top100.jsonl"
    return NamedCollection(
        name=short,
        title=f"TREC Deep Learning {year}, passages, BM25 top 100",
        form="candidates",
        licence="MS MARCO: non-commercial research",
        files={
            "candidates.jsonl": f"{_HUB}/castorini/rank_llm_data/resolve/main/{hits}",
            "qrels.txt": f"{_NIST}/{year}qrels-pass.txt",
        },
    )


def _beir(name: str, title: str, hub_id: str, licence: str) -> NamedCollection:
    return NamedCollection(
        name=name,
        title=f"{title} (BEIR)",
        form="beir",
        licence=licence,
        files={
            "corpus.jsonl.gz": f"{_HUB}/BeIR/{hub_id}/resolve/main/corpus.jsonl.gz",
            "queries.jsonl.gz": f"{_HUB}/BeIR/{hub_id}/resolve/main/queries.jsonl.gz",
            "qrels/test.tsv": f"{_HUB}/BeIR/{hub_id}-qrels/resolve/main/test.tsv",
        },
        note="candidates are this program's BM25, not Anserini's",
    )


def _licensed(name: str, title: str, sign_at: str) -> NamedCollection:
    return NamedCollection(
        name=name,
        title=f"{title} (BEIR)",
        form="beir",
        licence="to be signed",
        files={},
        sign_at=sign_at,
    )


NAMED: dict[str, NamedCollection] = {
    collection.name: collection
    for collection in (
        _deep_learning(2019),
        _deep_learning(2020),
        _beir("trec-covid", "TREC-COVID", "trec-covid", "CORD-19 licence"),
        _beir("nfcorpus", "NFCorpus", "nfcorpus", "academic use"),
        _beir("touche", "Touché 2020", "webis-touche2020", "CC BY 4.0"),
        _beir("dbpedia", "DBPedia entities", "dbpedia-entity", "CC BY-SA 3.0"),
        _beir("scifact", "SciFact", "scifact", "CC BY 4.0 and ODC-By"),
        _licensed("news", "TREC-NEWS", "https://trec.nist.gov/data/wapost/"),
        _licensed("robust04", "Robust04", "https://trec.nist.gov/data/cd45/"),
        _licensed(
            "signal", "Signal-1M", "https://research.signal-ai.com/datasets/signal1m-tweetir.html"
        ),
        NamedCollection(
            name="novel-eval",
            title="NovelEval-2306: 21 questions of June 2023, 20 passages each",
            form="candidates",
            licence="Apache-2.0 (RankGPT's repository)",
            files={"candidates.json": f"{_NOVEL}/data.json", "qrels.txt": f"{_NOVEL}/qrels.txt"},
        ),
        NamedCollection(
            name="nq",
            title="Natural Questions, test, DPR's top 100 with answers",
            form="candidates",
            licence="CC BY-NC 4.0 (DPR), CC BY-SA 3.0 (Natural Questions)",
            files={
                "candidates.json.gz": (
                    "https://dl.fbaipublicfiles.com/dpr/data/retriever_results/single/"
                    "nq-test.json.gz"
                )
            },
            note="candidates are DPR's retriever's, not BM25's",
        ),
    )
}


def load_named(name: str, *, depth: int = DEFAULT_DEPTH, limit: int | None = None) -> Collection:
    """The published collection called `name`, fetched on first use into the cache folder.

    Raises InputError for an unknown name, where a licence has to be signed, and where a file
    cannot be had (no network, a log-in wanted).
    """
    if name not in NAMED:
        raise InputError(
            f"expected a collection called one of {', '.join(NAMED)}, got {name!r}; choose one "
            "of these, or give the path of a candidate file or a BEIR folder"
        )
    named = NAMED[name]
    if named.sign_at:
        raise InputError(
            f"expected a collection that can be fetched, got {named.title}, whose licence has to "
            f"be signed at {named.sign_at}; then give the path of your copy in BEIR layout "
            "(corpus.jsonl, queries.jsonl, qrels/test.tsv)"
        )
    folder = cache_dir() / "collections" / name
    for file, url in named.files.items():
        fetch_file(url, folder / file)
    if named.form == "beir":
        found = load_beir(folder, depth=depth, limit=limit)
    else:
        qrels = folder / "qrels.txt" if "qrels.txt" in named.files else None
        candidates = next(file for file in named.files if file.startswith("candidates"))
        found = load_candidates(folder / candidates, qrels).cut(depth, limit)
    return replace(found, name=name, licence=named.licence, note=named.note)


def fetch_file(url: str, path: Path) -> None:
    """Downloads `url` to `path` unless it is there. A broken-off download leaves nothing.

    Raises InputError with what to do: no network, a log-in or licence wanted, no such file, or
    a file over MAX_FILE_BYTES.
    """
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with httpx.stream(
            "GET",
            url,
            follow_redirects=True,
            timeout=TIMEOUT_SECONDS,
            headers={"Accept-Encoding": "identity"},  # the file as it is published, gzip or not
        ) as response:
            _check_status(response, url)
            received = 0
            with partial.open("wb") as file:
                for chunk in response.iter_raw():
                    received += len(chunk)
                    if received > MAX_FILE_BYTES:
                        raise InputError(
                            f"expected a file of at most {MAX_FILE_BYTES:,} bytes, got more; "
                            "download it yourself and give a part of it",
                            where=url,
                        )
                    file.write(chunk)
        partial.replace(path)
    except (httpx.HTTPError, OSError) as error:
        raise InputError(
            f"expected to fetch this file, got {type(error).__name__} ({error}); check the "
            f"network, or put the file at {path} yourself",
            where=url,
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _check_status(response: httpx.Response, url: str) -> None:
    status = response.status_code
    if status in (401, 403):
        raise InputError(
            f"expected a file open to everybody, got status {status}: it wants a log-in or an "
            "accepted licence; fetch it in a browser and give its path",
            where=url,
        )
    if status != 200:
        raise InputError(
            f"expected to fetch this file, got status {status}; try later, or give the path of "
            "a copy",
            where=url,
        )

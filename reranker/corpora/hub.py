"""Corpora from public hubs by name, when there is a network and the library is installed.

Takes "ir_datasets:<id>" (for example ir_datasets:beir/scifact) or "datasets:<id>" (for example
datasets:BeIR/scifact), returns a corpus. Both libraries are optional and imported only here;
neither is allowed to run a data set's own code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reranker.corpora.corpus import Corpus, make_corpus
from reranker.corpora.files import ID_FIELDS, TEXT_FIELDS, pick_text
from reranker.corpora.limits import MAX_PASSAGES
from reranker.corpora.rows import Row, collect_passages
from reranker.errors import InputError

LIBRARIES = ("ir_datasets", "datasets")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)*")
_FIRST_SAFE_DATASETS = 3  # older major versions may run a data set's Python file unasked
_HUB_TEXT_FIELDS = (*TEXT_FIELDS, "body", "abstract", "default_text")


def load_hub(name: str) -> Corpus:
    """The corpus called `name`, downloaded into the library's own cache.

    A record whose text is empty is read as its title; a record without an id gets its 1-based
    number. Raises InputError for a name of another form, a library that is not installed, a
    data set that cannot be reached, and whatever is wrong with its records.
    """
    library, _, data_set = name.partition(":")
    if library not in LIBRARIES or not _NAME.fullmatch(data_set):
        raise InputError(
            "expected hub:ir_datasets:<id> or hub:datasets:<id>, got "
            f"{'hub:' + name!r}; write for example hub:ir_datasets:beir/scifact"
        )
    where = f"hub:{name}"
    records = _read_ir_datasets(data_set) if library == "ir_datasets" else _read_datasets(data_set)
    return make_corpus(
        collect_passages(make_rows(_guard(records, where), where), where),
        corpus_id=where,
        title=data_set,
        description=f"Loaded by {library}",
        licence="see the data set's own page",
    )


def make_rows(records: Iterable[Mapping[str, Any]], where: str) -> Iterator[Row]:
    """Hub records as rows. Raises InputError for a record without any text field."""
    for number, record in enumerate(records, start=1):
        fields = dict(record)
        place = f"{where}, record {number}"
        has_id = any(fields.get(name) is not None for name in ID_FIELDS)
        title = fields.get("title")
        title = title if isinstance(title, str) else ""
        text = pick_text(fields, _HUB_TEXT_FIELDS, place)
        yield Row(
            line=0,
            doc_id=pick_text(fields, ID_FIELDS, place) if has_id else str(number),
            text=text if text.strip() else title,
            title=title if text.strip() else "",
        )


def _read_ir_datasets(data_set: str) -> Iterator[Mapping[str, Any]]:
    try:
        import ir_datasets
    except ImportError as error:
        raise _missing("ir_datasets") from error
    for doc in ir_datasets.load(data_set).docs_iter():
        yield {
            **doc._asdict(),
            "text": doc.default_text() if "text" not in doc._fields else doc.text,
        }


def stream_data_set(data_set: str, config: str, split: str) -> Iterator[Mapping[str, Any]]:
    """The records of one split by `datasets`, MAX_PASSAGES at most. Raises InputError for a library
    that is not installed and a data set that cannot be reached."""
    datasets = _import_datasets()

    def read() -> Iterator[Mapping[str, Any]]:
        yield from datasets.load_dataset(data_set, config, split=split, streaming=True)

    return _guard(read(), f"hub:datasets:{data_set}")


def _read_datasets(data_set: str) -> Iterator[Mapping[str, Any]]:
    datasets = _import_datasets()
    configs = datasets.get_dataset_config_names(data_set)
    config = "corpus" if "corpus" in configs else configs[0]
    splits = datasets.get_dataset_split_names(data_set, config)
    split = next((name for name in ("corpus", "train", "test") if name in splits), splits[0])
    yield from datasets.load_dataset(data_set, config, split=split, streaming=True)


def _import_datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise _missing("datasets") from error
    if int(datasets.__version__.split(".")[0]) < _FIRST_SAFE_DATASETS:
        raise InputError(
            f"expected datasets {_FIRST_SAFE_DATASETS} or newer, got {datasets.__version__}; "
            "run: pip install -U datasets"
        )
    return datasets


def _guard(records: Iterator[Mapping[str, Any]], where: str) -> Iterator[Mapping[str, Any]]:
    """Turns whatever a hub library raises into one error; they share no base class."""
    count = 0
    while count <= MAX_PASSAGES:
        try:
            record = next(records, None)
        except InputError:
            raise
        except Exception as error:
            reason = (str(error).splitlines() or [""])[0][:200]
            raise InputError(
                f"expected a data set that can be reached, got {type(error).__name__}: {reason}; "
                "check the name and the network, or download it and give the folder",
                where=where,
            ) from error
        if record is None:
            return
        count += 1
        yield record


def _missing(library: str) -> InputError:
    return InputError(
        f"expected the package {library} to be installed, got no such package; "
        f"run: pip install {library}"
    )

"""Speed of both stages against named alternatives, and what the machine could do at best.

    python -m benchmarks.speed [--out FILE]

Everything is measured in this one run, in turns (A B A B …), and quoted as the median ratio with
the smallest and largest. Stage 1 is timed without its passage cache.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer

from benchmarks.machine import describe_machine
from reranker.config import Stage1Profile
from reranker.corpora import load_corpus
from reranker.pipeline import rank
from reranker.progress import RankEvent, TraceUpdate
from reranker.request import RankRequest
from reranker.retrieval import build_retriever
from reranker.stage1.biencoder import BiEncoderScorer
from reranker.stage2.digest_reader import DigestReader
from reranker.student.hardware import choose_dtype
from reranker.student.load import load_base, load_tokenizer
from reranker.student.locate import resolve_weights
from reranker.student.quantize import count_bytes
from reranker.student.student import load_student
from reranker.types import Passage, Query, RankSettings

ROOT = Path(__file__).resolve().parent.parent
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
DTYPE = choose_dtype("cpu")
"""What the student's 4-bit layers compute in on this machine."""
DTYPE_NAME = next(name for name, dtype in DTYPES.items() if dtype == DTYPE)
CORPUS = "everyday-science"
QUERIES = (
    "why does my cell phone lose signal in a lift",
    "why do the clocks on GPS satellites have to be adjusted",
    "how does soap get greasy plates clean",
)


def time_call(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def compare(ours: Callable[[], object], other: Callable[[], object], runs: int) -> str:
    """Median seconds of both and the ratio other / ours, pair by pair; one warm-up each."""
    ours()
    other()
    pairs = [(time_call(ours), time_call(other)) for _ in range(runs)]
    ratios = sorted(b / a for a, b in pairs)
    a, b = (statistics.median(values) for values in zip(*pairs, strict=True))
    return (
        f"{a:.2f} s against {b:.2f} s: {statistics.median(ratios):.2f}x "
        f"[{ratios[0]:.2f}, {ratios[-1]:.2f}]"
    )


def measure_stage1(runs: int) -> list[str]:
    """100 passages: the product's scorer against the two alternatives on the same weights."""
    student = load_student()
    scorer = student.scorer
    if not isinstance(scorer, BiEncoderScorer):
        raise SystemExit("expected a bi-encoder student")
    profile = student.profile.stage1
    passages = list(load_corpus(CORPUS).passages[:100])
    weights = resolve_weights(profile.base, student.profile.folder)

    def ours() -> None:
        scorer.forget()
        scorer.score(QUERIES[0], passages)

    plain = _PlainLoop(weights, profile)
    texts = [f"{p.title} {p.text}" for p in passages]

    def against_sentences(name: str, dtype: torch.dtype) -> str:
        sentence = SentenceTransformer(weights, device="cpu", model_kwargs={"dtype": dtype})
        sentence.max_seq_length = profile.max_passage_tokens

        def theirs() -> None:
            query = sentence.encode([QUERIES[0]], convert_to_tensor=True)
            sentence.similarity(query, sentence.encode(texts, convert_to_tensor=True))

        return (
            f"stage 1, 100 passages, against SentenceTransformer.encode in {name}: "
            f"{compare(ours, theirs, runs)}"
        )

    tokens = sum(score.passage_tokens for score in scorer.score(QUERIES[0], passages))
    parameters = sum(p.numel() for p in plain.model.encoder.parameters())
    work = 2 * parameters * tokens
    seconds = time_call(ours)
    peak = measure_matmul()
    return [
        f"stage 1, 100 passages, against the same weights in fp32, one by one, padded to "
        f"{profile.max_passage_tokens} tokens: {compare(ours, lambda: plain.score(passages), 3)}",
        *(against_sentences(name, dtype) for name, dtype in DTYPES.items()),
        f"bound: {DTYPE_NAME} matrix products run at {peak / 1e9:.0f} GFLOP/s here; stage 1 needs "
        f"{work / 1e9:.0f} GFLOP for {tokens} tokens and reaches {work / seconds / 1e9:.0f} "
        f"GFLOP/s, {work / seconds / peak:.0%} of it",
    ]


class _PlainLoop:
    """The alternative nobody should use: fp32, one passage at a time, padded to the maximum."""

    def __init__(self, weights: str, profile: Stage1Profile) -> None:
        self.model = load_base(weights, kind="encoder", quantization="fp32", device="cpu")
        self.tokenizer, self.profile = load_tokenizer(weights), profile

    def score(self, passages: Sequence[Passage]) -> None:
        for passage in passages:
            batch = self.tokenizer(
                f"{passage.title} {passage.text}",
                padding="max_length",
                truncation=True,
                max_length=self.profile.max_passage_tokens,
                return_tensors="pt",
            )
            with torch.inference_mode():
                self.model(**batch)


def measure_matmul() -> float:
    """The machine's rate in FLOP/s, from the product of [4096, 384] and [384, 1536] in DTYPE."""
    a, b = torch.randn(4096, 384, dtype=DTYPE), torch.randn(384, 1536, dtype=DTYPE)
    times = [time_call(lambda: a @ b) for _ in range(30)]
    return 2 * 4096 * 384 * 1536 / min(times)


def measure_query(runs: int) -> list[str]:
    """A warm student, 20 candidates it has not seen: seconds to each order, and how far stage 2
    runs from what the machine could do."""
    student = load_student()
    retriever = build_retriever(load_corpus(CORPUS))
    firsts, totals, decoded = [], [], []
    steps = [0, 0]  # forward passes of stage 2, and the tokens they read

    def count(module: object, inputs: tuple[torch.Tensor]) -> None:
        steps[0] += 1
        steps[1] += inputs[0].numel()

    reader = student.reader
    if not isinstance(reader, DigestReader):
        raise SystemExit("expected a student that reads digests")
    reader.decoder.model.get_input_embeddings().register_forward_pre_hook(count)
    for run in range(runs + 1):
        text = QUERIES[run % len(QUERIES)]
        hits = retriever.search(text, 20)
        if isinstance(student.scorer, BiEncoderScorer):
            student.scorer.forget()
        steps[:] = [0, 0]
        started = time.perf_counter()
        stage1_at: list[float] = []

        def note(event: RankEvent, at: list[float] = stage1_at, since: float = started) -> None:
            if isinstance(event, TraceUpdate) and event.trace.stage1 and not at:
                at.append(time.perf_counter() - since)

        request = RankRequest(query=Query(query_id="q", text=text), hits=hits)
        trace = rank(student, request, RankSettings(depth=20), on_event=note)
        if run:  # the first one loads and warms
            firsts.append(stage1_at[0])
            totals.append(time.perf_counter() - started)
            decoded.append(sum(g.tokens for r in trace.readings for g in r.generations))
    rate = statistics.median(t / (b - a) for t, a, b in zip(decoded, firsts, totals, strict=True))
    seconds, (passes, tokens) = totals[-1] - firsts[-1], steps
    parameters = reader.decoder.model.num_parameters(exclude_embeddings=True)
    reached = 2 * parameters * tokens / seconds
    return [
        f"warm query, 20 candidates: stage-1 order after {_spread(firsts)}, complete after "
        f"{_spread(totals)}; stage 2 decodes {rate:.0f} tokens/s",
        f"stage 2 makes {passes} passes over {tokens} tokens, {seconds / passes * 1000:.1f} ms "
        f"each, and reaches {reached / 1e9:.1f} GFLOP/s, {reached / measure_matmul():.1%} of the "
        "bound: steps of few tokens wait for the calls between the products",
        f"weights in memory: {sum(map(count_bytes, student.models())) / 2**20:.0f} MiB",
    ]


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} s [{min(values):.2f}, {max(values):.2f}]"


def measure_start() -> list[str]:
    """Seconds from `python app.py` until its first page answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    times = []
    for _ in range(3):
        started = time.perf_counter()
        app = subprocess.Popen(
            [sys.executable, "app.py", "--port", str(port)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
        )
        try:
            _wait_for_page(f"http://127.0.0.1:{port}/")
            times.append(time.perf_counter() - started)
        finally:
            app.terminate()
            app.wait(30)
    return [f"first page after `python app.py`: {_spread(times)}"]


def _wait_for_page(url: str) -> None:
    for _ in range(1200):
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    raise SystemExit(f"{url} did not answer within a minute")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the lines here as well")
    options = parser.parse_args()
    lines = [describe_machine(), ""]
    for part in (
        lambda: measure_stage1(options.runs),
        lambda: measure_query(options.runs),
        measure_start,
    ):
        lines += [f"- {line}" for line in part()]
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""The compared systems against the published formulas, written out from the raw models.

Every model is tiny and random, made here. The formulas take one token and one passage at a time,
without batches, padding or cutting; the systems must give the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from reranker.errors import CancelledError, DearError, InputError, StudentError
from reranker.pipeline import rank
from reranker.progress import Cancelled
from reranker.request import RankRequest
from reranker.systems import catalogue, crossencoder, dear, monot5, rankllama, upr
from reranker.systems.catalogue import SystemSettings, build_systems
from reranker.systems.dear import DearSystem, Ranker, TraceSource
from reranker.systems.prompt import encode_fitting
from reranker.systems.system import FirstStage, PointwiseSystem, order_by_scores
from reranker.types import Hit, Passage, Query, RankingTrace, RankSettings
from tests.fake_student import FakeStudent, make_profile
from tests.replicas import save_llama, save_pointwise_adapter

QUERY = "why does the tide rise"
TEXTS = [
    "the tide rises because of the moon",
    "granite forms when magma cools slowly under the ground and then it cools more",
    "moon",
    "",
    "the </s> tide",
]
NEVER = lambda: False  # noqa: E731


def make_hits(texts: Sequence[str], scored: bool = True) -> tuple[Hit, ...]:
    return tuple(
        Hit(
            passage=Passage(doc_id=f"d{n}", text=text),
            rank=n,
            bm25_score=10.0 - n if scored else None,
        )
        for n, text in enumerate(texts, start=1)
    )


@pytest.fixture(scope="module")
def t5_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T5 whose tokenizer knows the words of these tests, and ends its texts with </s>."""
    folder = tmp_path_factory.mktemp("t5")
    texts = [QUERY, *TEXTS, "Query: Document: Relevant: true false Passage: . Please write a"]
    texts.append("question based on this passage")
    split = pre_tokenizers.Whitespace()
    words = sorted({word for text in texts for word, _ in split.pre_tokenize_str(text)})
    vocabulary = {w: i for i, w in enumerate(["<pad>", "</s>", "<unk>", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = split
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    wrapped.save_pretrained(folder)
    torch.manual_seed(1)
    config = T5Config(
        vocab_size=len(vocabulary),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
        initializer_factor=1.5,
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama"), seed=7)


# MonoT5


def test_monot5_is_the_log_probability_of_true(t5_folder: Path) -> None:
    scorer = monot5.load_monot5(str(t5_folder), "fp32", "cpu")
    model = T5ForConditionalGeneration.from_pretrained(t5_folder).eval()
    ids = scorer.tokenizer.get_vocab()
    expected = []
    for text in TEXTS:
        prompt = f"Query: {QUERY} Document: {text} Relevant:"
        read = scorer.tokenizer(prompt, split_special_tokens=True, return_tensors="pt").input_ids
        with torch.no_grad():
            memory = model.encoder(input_ids=read).last_hidden_state
            state = model.decoder(
                input_ids=torch.tensor([[0]]), encoder_hidden_states=memory
            ).last_hidden_state[0, 0]
            if model.config.tie_word_embeddings:
                state = state * model.config.d_model**-0.5
            logits = state @ model.lm_head.weight.T
        true, false = float(logits[ids["true"]]), float(logits[ids["false"]])
        expected.append(-math.log1p(math.exp(false - true)))
    assert scorer.score(QUERY, TEXTS, cancelled=NEVER) == pytest.approx(expected, abs=1e-4)
    assert len(set(expected)) > 2


def test_monot5_reads_its_question_also_after_a_long_passage(t5_folder: Path) -> None:
    scorer = monot5.load_monot5(str(t5_folder), "fp32", "cpu")
    scorer.max_tokens = 20
    long = "moon " * 500
    ids = encode_fitting(
        scorer.tokenizer, lambda t: f"Query: {QUERY} Document: {t} Relevant:", long, 20
    )
    words = scorer.tokenizer.convert_ids_to_tokens(ids)
    assert len(ids) == 20
    assert words[-3:] == ["Relevant", ":", "</s>"]
    assert words.count("moon") == 20 - len(scorer.tokenizer(f"Query: {QUERY} Document:  Relevant:")
                                           .input_ids)  # fmt: skip
    fits = [long, "moon " * words.count("moon")]
    first, second = scorer.score(QUERY, fits, cancelled=NEVER)
    assert first == pytest.approx(second)


def test_monot5_wants_its_two_words(llama_folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(llama_folder)
    with pytest.raises(StudentError, match="'true' as one token"):
        monot5.MonoT5Scorer(LlamaForCausalLM.from_pretrained(llama_folder), tokenizer)


# UPR


def test_upr_with_a_t5_is_the_mean_log_probability_of_the_query(t5_folder: Path) -> None:
    scorer = upr.load_upr(str(t5_folder), "fp32", "cpu")
    model = T5ForConditionalGeneration.from_pretrained(t5_folder).eval()
    question = scorer.tokenizer(QUERY).input_ids
    assert question[-1] == scorer.tokenizer.eos_token_id
    expected = []
    for text in TEXTS:
        read = scorer.tokenizer(
            upr.write_prompt(text), split_special_tokens=True, return_tensors="pt"
        ).input_ids
        decoded, total = [0], 0.0
        for token in question:
            with torch.no_grad():
                logits = model(input_ids=read, decoder_input_ids=torch.tensor([decoded])).logits
            total += float(torch.log_softmax(logits[0, -1], dim=-1)[token])
            decoded.append(token)
        expected.append(total / len(question))
    assert scorer.score(QUERY, TEXTS, cancelled=NEVER) == pytest.approx(expected, abs=1e-4)
    assert len({round(value, 5) for value in expected}) > 2


def test_upr_with_a_causal_model_continues_the_prompt(llama_folder: Path) -> None:
    scorer = upr.load_upr(str(llama_folder), "fp32", "cpu")
    model = LlamaForCausalLM.from_pretrained(llama_folder).eval()
    question = scorer.tokenizer(f" {QUERY}", add_special_tokens=False).input_ids
    expected = []
    for text in TEXTS:
        ids = list(scorer.tokenizer(upr.write_prompt(text), split_special_tokens=True).input_ids)
        total = 0.0
        for token in question:
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([ids])).logits
            total += float(torch.log_softmax(logits[0, -1], dim=-1)[token])
            ids.append(token)
        expected.append(total / len(question))
    assert scorer.score(QUERY, TEXTS, cancelled=NEVER) == pytest.approx(expected, abs=1e-4)


def test_upr_counts_positions_from_each_rows_own_beginning(llama_folder: Path) -> None:
    """GPT-2 learns a vector for each position, so a row's padding must not shift its places."""
    tokenizer = upr.load_tokenizer(str(llama_folder))
    torch.manual_seed(2)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_positions=512, n_embd=32, n_layer=2, n_head=4,
        initializer_range=0.5,
    )  # fmt: skip
    model = GPT2LMHeadModel(config).eval()
    scorer = upr.QueryLikelihoodScorer(model, tokenizer)
    alone = [scorer.score(QUERY, [text], cancelled=NEVER)[0] for text in TEXTS]
    assert scorer.score(QUERY, TEXTS, cancelled=NEVER) == pytest.approx(alone, abs=1e-4)


# RankLLaMA


@pytest.mark.parametrize("form", ["whole", "adapter"])
def test_rankllama_is_the_head_on_the_last_token(tmp_path: Path, form: str) -> None:
    base = save_llama(tmp_path / "base", seed=7)
    if form == "whole":
        torch.manual_seed(8)
        model = LlamaForSequenceClassification.from_pretrained(base, num_labels=1)
        model.save_pretrained(tmp_path / "whole")
        rankllama.load_tokenizer(str(base)).save_pretrained(tmp_path / "whole")
        weights = tmp_path / "whole"
    else:
        from peft import PeftModel

        weights = save_pointwise_adapter(base, tmp_path / "adapter", seed=9)
        model = LlamaForSequenceClassification.from_pretrained(base, num_labels=1)
        model = PeftModel.from_pretrained(model, weights)
    scorer = rankllama.load_rankllama(str(weights), "fp32", "cpu")
    tokenizer = scorer.tokenizer
    expected = []
    for text in TEXTS:
        pair = tokenizer(f"query: {QUERY}", f"document: {text}".strip(), split_special_tokens=True)
        ids = torch.tensor([[*pair.input_ids, tokenizer.eos_token_id]])
        with torch.no_grad():  # alone and unpadded, transformers pools the last token
            expected.append(float(model.eval()(input_ids=ids).logits[0, 0]))
    assert scorer.score(QUERY, TEXTS, cancelled=NEVER) == pytest.approx(expected, abs=1e-4)
    assert scorer.score(QUERY, [], cancelled=NEVER) == []


def test_rankllama_cuts_long_texts_before_the_end_token(llama_folder: Path, tmp_path: Path) -> None:
    weights = save_pointwise_adapter(llama_folder, tmp_path / "adapter", seed=9)
    scorer = rankllama.load_rankllama(str(weights), "fp32", "cpu")
    # Words of one token each, so that both are cut to the same.
    scores = scorer.score(QUERY, ["a" * 900, "a" * 2000], cancelled=NEVER)
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)


def test_an_encoder_is_no_rankllama(bert_crossencoder: Path) -> None:
    with pytest.raises(StudentError, match="causal model with a classification head"):
        rankllama.load_rankllama(str(bert_crossencoder / "base"), "fp32", "cpu")


# Cross-encoders


def test_a_cross_encoder_scores_as_sentence_transformers_does(bert_crossencoder: Path) -> None:
    from sentence_transformers import CrossEncoder

    weights = str(bert_crossencoder / "base")
    scorer = crossencoder.load_crossencoder(weights, "fp32", "cpu")
    scorer.max_tokens = 60
    theirs = CrossEncoder(weights, max_length=60, device="cpu")
    texts = [*TEXTS[:4], "tide moon " * 200]
    for query in (QUERY, "the tide " * 100):  # whichever is longer is cut first
        expected = theirs.predict(
            [(query, text) for text in texts], activation_fn=torch.nn.Identity()
        ).tolist()
        assert scorer.score(query, texts, cancelled=NEVER) == pytest.approx(expected, abs=1e-4)


def test_a_cross_encoder_with_several_outputs_is_refused(bert_crossencoder: Path) -> None:
    model = crossencoder.load_base(
        str(bert_crossencoder / "base"), kind="sequence", quantization="fp32", device="cpu"
    )
    model.config.num_labels = 3
    tokenizer = crossencoder.load_tokenizer(str(bert_crossencoder / "base"))
    with pytest.raises(StudentError, match="one output, got 3"):
        crossencoder.CrossEncoderScorer(model, tokenizer)


# What they share


@pytest.mark.parametrize("family", ["monot5", "upr", "upr-causal", "rankllama", "crossencoder"])
def test_scorers_stop_between_batches_and_ignore_batching(
    family: str,
    t5_folder: Path,
    llama_folder: Path,
    bert_crossencoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if family == "rankllama":
        weights = save_pointwise_adapter(llama_folder, tmp_path / "adapter", seed=9)
    else:
        weights = {
            "monot5": t5_folder,
            "upr": t5_folder,
            "upr-causal": llama_folder,
            "crossencoder": bert_crossencoder / "base",
        }[family]
    module = {"upr-causal": upr, "upr": upr, "monot5": monot5, "rankllama": rankllama}.get(
        family, crossencoder
    )
    scorer = catalogue._find_loader(family.split("-")[0])(str(weights), "fp32", "cpu")
    together = scorer.score(QUERY, TEXTS, cancelled=NEVER)
    monkeypatch.setattr(module, "TOKEN_BUDGET", 1)
    assert scorer.score(QUERY, TEXTS, cancelled=NEVER) == pytest.approx(together, abs=1e-4)
    with pytest.raises(CancelledError):
        scorer.score(QUERY, TEXTS, cancelled=lambda: True)


class LengthScorer:
    """The shortest text is best."""

    def score(self, query: str, texts: Sequence[str], *, cancelled: object) -> list[float]:
        return [-float(len(text)) for text in texts]


def test_a_pointwise_system_ranks_and_loads_once() -> None:
    loads: list[int] = []

    def load() -> LengthScorer:
        loads.append(1)
        return LengthScorer()

    system = PointwiseSystem("short", "the shortest first", load)
    hits = make_hits(["aaa", "b", "cc", "d"])
    for _ in range(2):
        ranking = system.rank(Query(query_id="q", text="x"), hits, cancelled=NEVER)
        assert [doc_id for doc_id, _ in ranking.ranking] == ["d2", "d4", "d3", "d1"]
    assert len(loads) == 1
    system.close()
    system.rank(Query(query_id="q", text="x"), hits, cancelled=NEVER)
    assert len(loads) == 2


def test_scores_that_are_no_number_are_refused() -> None:
    with pytest.raises(DearError, match="got NaN; load the model in fp32"):
        order_by_scores(make_hits(["a", "b"]), [1.0, math.nan])


def test_the_first_stage_keeps_its_order() -> None:
    query = Query(query_id="q", text="x")
    scored = FirstStage().rank(query, make_hits(["a", "b"]), cancelled=NEVER).ranking
    assert scored == (("d1", 9.0), ("d2", 8.0))
    pasted = FirstStage().rank(query, make_hits(["a", "b"], scored=False), cancelled=NEVER)
    assert pasted.ranking == (("d1", 2.0), ("d2", 1.0))


# DeAR


def open_fake(calls: list[str]) -> Ranker:
    """Ranks with a student without weights, and notes which stages were asked for."""
    student = FakeStudent()

    def rank_query(
        query: Query, hits: Sequence[Hit], settings: RankSettings, cancelled: Cancelled
    ) -> RankingTrace:
        calls.append(settings.stages)
        request = RankRequest(query=query, hits=tuple(hits))
        return rank(student, request, settings, cancelled=cancelled)  # type: ignore[arg-type]

    return rank_query


def test_a_students_forms_share_one_ranking() -> None:
    calls: list[str] = []
    source = TraceSource("fake", lambda: open_fake(calls), make_profile(), dear.FORMS)
    query = Query(query_id="q", text="why does the tide rise")
    hits = make_hits(["Granite cools.", "The tide does rise. Why?", "A tide."])
    orders = {}
    for form in dear.FORMS:
        found = DearSystem(form, source, "").rank(query, hits, cancelled=NEVER)
        orders[form] = [doc_id for doc_id, _ in found.ranking]
        assert sorted(orders[form]) == ["d1", "d2", "d3"]
        assert bool(found.justifications) == (form != "stage1")
        assert found.seconds > 0
    assert sorted(calls) == ["2", "both"]
    trace = source.find_trace("both", query, hits, NEVER)
    assert orders["stage1"] == list(trace.stage1_order)
    assert orders["both"] == list(trace.readings[-1].ranked_doc_ids)
    assert not source.find_trace("stage2", query, hits, NEVER).stage1
    for form in dear.FORMS:
        source.release(form)
    assert source._ranker is None and not source._traces


def test_stage1_alone_runs_no_stage2() -> None:
    source = TraceSource("fake", lambda: open_fake([]), make_profile(), ["stage1"])
    hits = make_hits(["The tide.", "Stone."])
    trace = source.find_trace("stage1", Query(query_id="q", text="tide"), hits, NEVER)
    assert trace.stage1 and not trace.readings


@pytest.mark.slow
def test_the_bundled_student_through_the_catalogue() -> None:
    systems = build_systems(["bm25", "mini:stage1"], SystemSettings())
    assert [system.name for system in systems] == ["bm25", "mini:stage1"]
    ranking = systems[1].rank(
        Query(query_id="q", text="why do tides rise"),
        make_hits(["Yeast feeds on sugar.", "Tides rise because the moon pulls the sea."]),
        cancelled=NEVER,
    )
    assert ranking.ranking[0][0] == "d2"


# The catalogue


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected systems, each once, got none"),
        (["bm25", "bm25"], "each once, got bm25 bm25"),
        (["bm42"], "expected a system, got 'bm42'; choose among bm25, STUDENT:stage1"),
        (["mini"], "expected a system, got 'mini'"),
        (["mini:stage3"], "expected a system"),
        (["monot5:"], "expected a system"),
        ([":stage1"], "expected a system"),
        (["no-such:stage1"], "no-such"),
        (["monot5:/no/such/folder"], "expected weights in a folder or a hub id"),
        (["rankgpt:gpt-4o"], "--endpoint"),
    ],
)
def test_what_names_no_system_is_refused_before_loading(words: list[str], message: str) -> None:
    with pytest.raises(DearError, match=message):
        build_systems(words, SystemSettings())


def test_a_student_without_stage2_has_only_stage1(bert_crossencoder: Path) -> None:
    build_systems([f"{bert_crossencoder}:stage1"], SystemSettings())
    with pytest.raises(InputError, match="a student with a stage 2 for 'both'"):
        build_systems([f"{bert_crossencoder}:both"], SystemSettings())

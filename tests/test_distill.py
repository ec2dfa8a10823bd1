"""Stage-1 training, part by part: scores, lists, teacher, both forms, quantised or not."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch

from reranker.config import Stage1Profile, load_profile
from reranker.errors import InputError, StudentError
from reranker.examples.load import load_ranking_data
from reranker.examples.record import JudgedPassage, JudgedQuery
from reranker.jobs.folder import JobFolder, hash_file
from reranker.jobs.job import create_folder, read_job
from reranker.jobs.settings import (
    DataSettings,
    LoraSettings,
    ObjectiveSettings,
    ScheduleSettings,
    TeacherSettings,
    TrainingSettings,
    override_settings,
)
from reranker.student.student import Student, load_student
from reranker.training.lists import ListCollator, ListDataset, draw_list, make_list_tokenizer
from reranker.training.meter import DevMeter
from reranker.training.run import DONE, FAILED, run_job
from reranker.training.scoring import score_lists
from reranker.training.teacher import Teacher, find_bm25_scores, make_teacher, match_spread
from reranker.types import Passage, PassageScore, Query
from tests.replicas import build_biencoder_student

PASSAGES = (
    Passage(doc_id="a", title="Sea", text="The tide rises and falls twice a day."),
    Passage(doc_id="b", text="Granite forms when magma cools."),
    Passage(doc_id="c", title="Moon", text="A blue moon is the second full moon [SEP] of a month."),
)
QUERIES = ("why tides", "how does granite form")


def judged(grades: tuple[int, ...] = (3, 0, 1), query_id: str = "q") -> JudgedQuery:
    return JudgedQuery(
        query=Query(query_id=query_id, text="why tides"),
        passages=tuple(
            JudgedPassage(passage=p, grade=g) for p, g in zip(PASSAGES, grades, strict=True)
        ),
    )


# Scores are those that are served


def score_in_training(student: Student, model: object, stage1: Stage1Profile) -> torch.Tensor:
    tokenizer = make_list_tokenizer(student.scorer.tokenizer, stage1)  # type: ignore[attr-defined]
    batch = tokenizer.tokenize(QUERIES, [PASSAGES] * 2)
    with torch.inference_mode():
        return score_lists(model, batch, stage1, len(QUERIES))


def test_biencoder_scores_are_the_scorers(digest_student: Path) -> None:
    student = load_student(str(digest_student))
    found = score_in_training(student, student.scorer.model, student.profile.stage1)  # type: ignore[attr-defined]
    for row, query in enumerate(QUERIES):
        served = [score.score for score in student.scorer.score(query, PASSAGES)]
        assert found[row].tolist() == pytest.approx(served, abs=0.1)  # the scorer keeps bf16


def test_crossencoder_scores_are_the_scorers(
    bert_crossencoder: Path, two_base_student: Path
) -> None:
    for folder in (bert_crossencoder, two_base_student):
        student = load_student(str(folder))
        served = [[s.score for s in student.scorer.score(query, PASSAGES)] for query in QUERIES]
        model = student.models()[0]
        found = score_in_training(student, model, student.profile.stage1)
        assert torch.allclose(found, torch.tensor(served), atol=1e-4)


# Lists


def test_a_list_has_a_relevant_passage_first_and_nothing_twice() -> None:
    pool = judged().passages
    firsts = Counter()
    for number in range(200):
        chosen = draw_list(pool, 3, Random(number))
        assert sorted(p.passage.doc_id for p in chosen) == ["a", "b", "c"]
        firsts[chosen[0].passage.doc_id] += 1
    assert set(firsts) == {"a", "c"} and firsts["a"] > firsts["c"]  # by grade
    assert len(draw_list(pool, 2, Random(0))) == 2


def make_dataset(teacher: Teacher | None = None, size: int = 2, count: int = 12) -> ListDataset:
    queries = [judged(query_id=f"q{n}") for n in range(5)]
    return ListDataset(queries, None, teacher, size=size, mining_depth=0, count=count, seed=1)


def test_the_place_alone_decides_the_list() -> None:
    first, again = make_dataset(), make_dataset()
    assert [again[n] for n in (11, 3, 7)] == [first[n] for n in (11, 3, 7)]
    assert len({first[n].passages for n in range(12)}) > 1
    with pytest.raises(IndexError):
        first[12]


def test_short_lists_are_padded_and_masked(bert_crossencoder: Path) -> None:
    item = make_dataset(size=5)[0]
    assert item.known == (True, True, True, False, False) and len(item.passages) == 5
    student = load_student(str(bert_crossencoder))
    tokenizer = make_list_tokenizer(student.scorer.tokenizer, student.profile.stage1)  # type: ignore[attr-defined]
    batch = ListCollator(lists=tokenizer)([item])
    assert batch["known"].tolist() == [[True, True, True, False, False]]
    assert "teacher" not in batch and batch["labels"].shape == (1, 5)


# The teacher


class CountingScorer:
    """Scores by length, and counts how often it is asked."""

    asked = 0

    def score(self, query: str, passages: list[Passage], **options: object) -> list[PassageScore]:
        self.asked += 1
        return [
            PassageScore(doc_id=p.doc_id, score=len(p.text) / 7, passage_tokens=1) for p in passages
        ]


def test_teacher_scores_are_kept_on_disk_and_per_teacher(tmp_path: Path) -> None:
    scorer = CountingScorer()
    teacher = Teacher(lambda: scorer, identity="one", folder=tmp_path)  # type: ignore[arg-type, return-value]
    first = teacher.score("q", PASSAGES)
    assert teacher.score("q", PASSAGES) == first and scorer.asked == 1
    with (tmp_path / "one.jsonl").open("ab") as file:
        file.write(b'{"list": "torn')
    again = Teacher(lambda: scorer, identity="one", folder=tmp_path)  # type: ignore[arg-type, return-value]
    assert again.score("q", PASSAGES) == first and scorer.asked == 1
    assert again.score("q", PASSAGES[:2]) == first[:2] and scorer.asked == 2
    other = Teacher(lambda: scorer, identity="two", folder=tmp_path)  # type: ignore[arg-type, return-value]
    other.score("q", PASSAGES)
    assert scorer.asked == 3
    third = Teacher(lambda: scorer, identity="one", folder=tmp_path)  # type: ignore[arg-type, return-value]
    third.score("q", PASSAGES[:2])
    assert scorer.asked == 3


def test_bm25_is_blended_with_the_teachers_spread(tmp_path: Path) -> None:
    import numpy as np

    scorer = CountingScorer()
    plain = Teacher(lambda: scorer, identity="x", folder=tmp_path)  # type: ignore[arg-type, return-value]
    blended = Teacher(lambda: scorer, identity="x", bm25_weight=0.5, folder=tmp_path)  # type: ignore[arg-type, return-value]
    scores = np.array(plain.score("q", PASSAGES))
    found = np.array(blended.score("q", PASSAGES, bm25=[3.0, 0.0, 0.0]))
    assert found[0] - scores[0] == pytest.approx(0.5 * np.sqrt(2) * scores.std())
    assert match_spread(np.zeros(3), scores).tolist() == [0, 0, 0]


def test_the_teachers_identity_is_its_weights_and_its_words(digest_student: Path) -> None:
    profile = load_profile(str(digest_student))
    settings = TeacherSettings(weights="base", quantization="fp32")
    first = make_teacher(settings, profile, device="cpu")
    again = make_teacher(settings, profile, device="cpu")
    other = make_teacher(replace(settings, quantization="bf16"), profile, device="cpu")
    assert first and again and other
    assert first._identity == again._identity != other._identity  # noqa: SLF001
    scores = first.score("why tides", PASSAGES)
    bare = load_student(str(digest_student), "fp32", stage1_adapter="")
    served = [s.score for s in bare.scorer.score("why tides", PASSAGES)]
    assert scores == pytest.approx(served, abs=1e-4)
    assert make_teacher(TeacherSettings(), profile, device="cpu") is None
    with pytest.raises(StudentError):
        make_teacher(TeacherSettings(weights="./absent"), profile, device="cpu")


def test_given_scores_are_used_and_unscored_passages_left_out() -> None:
    passages = [
        JudgedPassage(passage=p, grade=g, teacher_score=s)
        for p, g, s in zip(PASSAGES, (1, 0, 0), (2.0, -1.0, None), strict=True)
    ]
    query = JudgedQuery(query=Query(query_id="q", text="t"), passages=tuple(passages))
    item = ListDataset([query], None, Teacher(None), size=3, mining_depth=0, count=1, seed=0)[0]
    assert item.teacher == (2.0, -1.0, 0.0) and item.known == (True, True, False)


def test_bm25_scores_of_given_passages() -> None:
    data = load_ranking_data(DataSettings(), 0)
    assert data.retriever is not None
    query = data.train[0].query.text
    hits = data.retriever.search(query, 3)
    unknown = Passage(doc_id="nowhere", text="x")
    found = find_bm25_scores(query, [hits[1].passage, unknown], data.retriever)
    assert found == [hits[1].bm25_score, 0.0]


def test_the_meter_knows_a_perfect_and_a_reversed_order() -> None:
    data = load_ranking_data(DataSettings(max_dev_queries=3), 0)

    class Oracle:
        sign = 1.0

        def score(self, query: str, passages: tuple[Passage, ...]) -> list[PassageScore]:
            grades = next(q.grades for q in data.dev if q.query.text == query)
            return [
                PassageScore(
                    doc_id=p.doc_id, score=self.sign * grades.get(p.doc_id, 0), passage_tokens=1
                )
                for p in passages
            ]

    meter, oracle = DevMeter(data.dev, None), Oracle()
    best = meter.measure(oracle).measures["nDCG@10"]  # type: ignore[arg-type]
    oracle.sign = -1.0
    assert best > 0.9 > 0.5 > meter.measure(oracle).measures["nDCG@10"]  # type: ignore[arg-type]


# Whole jobs of every form


def quick_settings(student: Path, **more: str) -> TrainingSettings:
    settings = TrainingSettings(
        student=str(student),
        data=DataSettings(passages=3, mining_depth=3, dev_depth=4, max_dev_queries=2),
        objective=ObjectiveSettings(main="ce", alpha=0.0),
        lora=LoraSettings(rank=4, alpha=8),
        schedule=ScheduleSettings(steps=2, batch=2, save_steps=2, eval_steps=2),
        quantization="fp32",
        max_passage_tokens=40,
    )
    return override_settings(settings, more)


def train(settings: TrainingSettings, root: Path) -> JobFolder:
    folder = create_folder(settings, root)
    assert run_job(folder) == DONE, folder.state.read_text()
    return folder


@pytest.mark.parametrize("quantization", ["nf4", "bf16", "fp32"])
def test_a_crossencoder_on_a_causal_base_learns_with_its_head(
    two_base_student: Path, tmp_path: Path, quantization: str
) -> None:
    settings = quick_settings(two_base_student, quantization=quantization)
    folder = train(settings, tmp_path)
    student = load_student(str(two_base_student), stage1_adapter=str(folder.adapter))
    old = load_student(str(two_base_student))
    scores = [s.scorer.score("why tides", PASSAGES)[0].score for s in (student, old)]
    assert scores[0] != scores[1]
    config = json.loads((folder.adapter / "adapter_config.json").read_text())
    assert config["task_type"] == "SEQ_CLS" and config["base_model_name_or_path"] == "base"


def test_a_bert_crossencoder_learns(bert_crossencoder: Path, tmp_path: Path) -> None:
    folder = train(quick_settings(bert_crossencoder), tmp_path)
    assert (folder.adapter / "adapter_model.safetensors").is_file()


def test_a_quantised_biencoder_goes_on_from_its_adapter(
    digest_student: Path, tmp_path: Path
) -> None:
    settings = quick_settings(digest_student, quantization="nf4")
    settings = override_settings(settings, {"lora.start": "student", "schedule.accumulation": "2"})
    folder = train(settings, tmp_path)
    before = digest_student / "stage1" / "adapter_model.safetensors"
    after = folder.adapter / "adapter_model.safetensors"
    assert hash_file(before) != hash_file(after)
    job = read_job(folder.path.name, tmp_path)
    assert set(job.progress.steps[0].parts) == {"loss", "cross_entropy"}


def test_another_model_can_teach(
    digest_student: Path, bert_crossencoder: Path, tmp_path: Path
) -> None:
    settings = quick_settings(digest_student)
    settings = override_settings(
        settings,
        {
            "teacher.weights": str(bert_crossencoder / "base"),
            "teacher.form": "crossencoder",
            "teacher.quantization": "fp32",
            "objective.main": "ranknet",
            "objective.alpha": "0.5",
            "gradient_checkpointing": "true",
        },
    )
    folder = train(settings, tmp_path)
    job = read_job(folder.path.name, tmp_path)
    assert {"ranknet", "distillation"} < set(job.progress.steps[0].parts)
    assert str(bert_crossencoder.parent) not in folder.card.read_text()


def test_there_must_be_an_adapter_to_go_on_from(bert_crossencoder: Path, tmp_path: Path) -> None:
    settings = override_settings(quick_settings(bert_crossencoder), {"lora.start": "student"})
    folder = create_folder(settings, tmp_path)
    assert run_job(folder) == FAILED
    assert 'set lora.start to "fresh"' in read_job(folder.path.name, tmp_path).message


def test_accumulated_batches_learn_what_one_batch_learns(tmp_path: Path) -> None:
    """Two batches of two, or one of four: the same lists, the same step."""
    from safetensors.torch import load_file

    plain = override_settings(
        quick_settings(build_biencoder_student(tmp_path / "tiny")),
        {"lora.dropout": "0", "data.dev_share": "0"},
    )
    weights = []
    for name, changes in (
        ("one", {"schedule.batch": "4"}),
        ("two", {"schedule.batch": "2", "schedule.accumulation": "2"}),
    ):
        folder = train(override_settings(plain, changes), tmp_path / name)
        weights.append(load_file(folder.adapter / "adapter_model.safetensors"))
    for name, tensor in weights[0].items():
        assert torch.allclose(tensor, weights[1][name], atol=2e-5), name


def test_unknown_settings_of_the_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        load_ranking_data(DataSettings(train="absent"), 0)

"""The annotation store: nothing overwritten, nothing saved twice, nobody reads too early."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reranker.annotation.access import AccessError, read_for_adjudication, require_role
from reranker.annotation.answers import Answers, PartAnswer, Span, dump_answers, load_answers
from reranker.annotation.checking import check_answers, list_undecided
from reranker.annotation.database import open_database
from reranker.annotation.item import dump_item, load_item
from reranker.annotation.judgement import Submission
from reranker.annotation.judging import Judging
from reranker.annotation.project import (
    Project,
    Reason,
    change_project,
    check_project,
    dump_project,
    load_project,
    read_project,
    write_project,
)
from reranker.annotation.schema import MIGRATIONS, migrate
from reranker.annotation.store import Store
from reranker.errors import InputError
from tests.annotation_cases import judge_reason, make_answers, make_case, open_judging, save

OUTSIDE = (Span(start=0, end=99),)


def test_sqlite_writes_through_to_the_disk(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_what_was_stored_comes_back_equal(tmp_path: Path) -> None:
    judging, project_id = open_judging(tmp_path, guidelines="# Read\n\n<b>all</b>")
    item = make_case()
    answers = make_answers(
        {"d1": 3, "d2": 0},
        reasons=(
            judge_reason(
                "d1",
                "wrong",
                steps=(PartAnswer(verdict="correct"), PartAnswer(verdict="wrong")),
                evidence="selected",
                spans=(Span(start=0, end=4),),
                correction="Salt lowers the freezing point.",
            ),
        ),
        order=(("d1",), ("d2", "d3")),
        comment="é <script>\u0000",
        flagged=True,
    )
    saved = save(judging, "ann", item.item_id, answers, seconds=12.5)
    again = Judging(Store(str(judging.store.engine.url)))
    assert again.store.get_item(project_id, item.item_id) == item
    assert again.latest(project_id, item.item_id, "annotation", "ann") == saved
    assert saved.answers == answers and saved.version == 1 and not saved.conflict
    assert again.store.get_project(project_id).guidelines == "# Read\n\n<b>all</b>"
    assert load_item(dump_item(item)) == item
    assert answers.ranks == {"d1": 1, "d2": 2, "d3": 2}


def test_two_tabs_on_one_item_overwrite_nothing(tmp_path: Path) -> None:
    judging, project_id = open_judging(tmp_path)
    item_id = make_case().item_id
    first = save(judging, "ann", item_id, make_answers({"d1": 3}), save_key="tab one")
    second = save(judging, "ann", item_id, make_answers({"d1": 0}), save_key="tab two")
    assert (first.conflict, second.conflict) == (False, True)
    assert [j.answers.grades for j in judging.history(project_id, item_id)] == [
        {"d1": 3},
        {"d1": 0},
    ]
    third = save(judging, "ann", item_id, make_answers({"d1": 1}), save_key="3", base_version=2)
    assert (third.version, third.conflict) == (3, False)


def test_a_repeated_attempt_is_one_judgement(tmp_path: Path) -> None:
    judging, project_id = open_judging(tmp_path)
    item_id = make_case().item_id
    saved = [
        save(judging, "ann", item_id, make_answers({"d1": grade}), save_key="same")
        for grade in (3, 1)
    ]
    assert saved[0] == saved[1] and len(judging.history(project_id)) == 1


def test_concurrent_saves_get_a_version_each(tmp_path: Path) -> None:
    judging, project_id = open_judging(tmp_path)
    item_id = make_case().item_id
    judging.assignments.assign(project_id, "ann", [item_id])

    def work(name: str) -> None:
        for n in range(10):
            save(judging, "ann", item_id, make_answers({"d1": n % 4}), save_key=f"{name}{n}")

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    versions = [j.version for j in judging.history(project_id)]
    assert sorted(versions) == list(range(1, 41))


def test_items_go_to_as_many_people_as_the_overlap_says(tmp_path: Path) -> None:
    judging, project_id = open_judging(tmp_path, items=5, overlap=2)
    given = {}
    for person in ("ann", "bob", "cem"):
        found = []
        while (item_id := judging.assignments.next_item(project_id, person)) is not None:
            save(judging, person, item_id, make_answers({"d1": 1}))
            found.append(item_id)
        given[person] = found
    assert [len(given[p]) for p in ("ann", "bob", "cem")] == [5, 5, 0]
    progress = judging.assignments.progress(project_id, "ann")
    assert (progress.done, progress.left, progress.available) == (5, 0, 0)


def test_items_others_have_begun_come_first(tmp_path: Path) -> None:
    judging, project_id = open_judging(tmp_path, items=5, overlap=2)
    assignments = judging.assignments
    last = judging.store.list_items(project_id)[-1].item_id
    assignments.assign(project_id, "ann", [last])
    assert assignments.next_item(project_id, "bob") == last


def test_concurrent_people_never_exceed_the_overlap(tmp_path: Path) -> None:
    judging, project_id = open_judging(tmp_path, items=20, overlap=2)

    def work(person: str) -> None:
        while (item_id := judging.assignments.next_item(project_id, person)) is not None:
            save(judging, person, item_id, make_answers({"d1": 1}))

    threads = [threading.Thread(target=work, args=(f"p{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pairs = [(j.item_id, j.person) for j in judging.history(project_id)]
    assert len(pairs) == len(set(pairs)) == 40


def test_skipped_items_wait_and_come_back_on_request(tmp_path: Path) -> None:
    judging, project_id = open_judging(tmp_path, items=2, overlap=1)
    assignments = judging.assignments
    first = assignments.next_item(project_id, "ann") or ""
    save(judging, "ann", first, Answers(), status="skipped")
    second = assignments.next_item(project_id, "ann", first) or ""
    assert second != first
    save(judging, "ann", second, make_answers({"d1": 1}))
    assert assignments.next_item(project_id, "ann", second) is None
    assert assignments.first_skipped(project_id, "ann") == first
    assert assignments.neighbour(project_id, "ann", second, -1) == first
    assert assignments.neighbour(project_id, "ann", second, 1) is None
    assert assignments.progress(project_id, "ann").left == 1


def test_what_is_taken_back_goes_to_others_and_what_was_judged_stays(tmp_path: Path) -> None:
    judging, project_id = open_judging(tmp_path, items=4, overlap=1)
    handed = judging.assignments
    assert handed.assign_more(project_id, "ann", 3) == 3
    first, second, *_ = judging.store.list_queries(project_id)
    save(judging, "ann", first, make_answers({"d1": 1}))
    save(judging, "ann", second, make_answers({}), status="skipped")
    assert handed.progress(project_id, "bob").available == 1
    assert handed.release(project_id, "ann") == 2
    assert handed.list_given(project_id, "ann") == {first}
    assert handed.progress(project_id, "bob").available == 3
    assert handed.next_item(project_id, "bob") == second
    assert handed.release(project_id, "ann") == 0
    # What was skipped and taken back is refused until it is given again; nothing is overwritten.
    with pytest.raises(InputError, match="taken back"):
        judging.save(
            Submission(
                project_id=project_id, item_id=second, person="ann", save_key="late",
                answers=make_answers({"d1": 2}),
            )
        )  # fmt: skip
    assert [j.status for j in judging.history(project_id, person="ann")] == ["done", "skipped"]
    assert handed.assign_more(project_id, "ann", 9) == 3
    judging.store.set_role(project_id, "ann", "annotator")
    assert handed.dismiss(project_id, "ann") == 3
    assert judging.store.find_role(project_id, "ann") is None
    with pytest.raises(InputError, match="an owner to remain"):
        handed.dismiss(project_id, "olga")


def test_settings_change_only_as_far_as_judgements_allow(tmp_path: Path) -> None:
    judging, project_id = open_judging(tmp_path)
    project = judging.store.get_project(project_id)
    three = change_project(project, scale=project.scale[:3])
    [item_id] = judging.store.list_queries(project_id)
    judging.store.set_gold(project_id, item_id, make_answers({"d1": 3}), "olga")
    with pytest.raises(InputError, match="a grade among"):
        judging.change_project(three)
    judging.store.set_gold(project_id, item_id, None)
    judging.change_project(three)
    with pytest.raises(InputError, match="a grade among"):
        judging.store.set_gold(project_id, item_id, make_answers({"d1": 3}))
    judging.change_project(project)
    save(judging, "ann", item_id, make_answers({"d1": 3}))
    for refused in (three, change_project(project, reasons=project.reasons[1:])):
        with pytest.raises(InputError, match="people have judged"):
            judging.change_project(refused)
    words = tuple(replace(grade, label=f"{grade.label}!") for grade in project.scale)
    more = (*project.reasons, Reason(name="long", label="too long"))
    kept = change_project(project, scale=words, reasons=more, systems=("mini",), overlap=3)
    judging.change_project(kept)
    assert judging.store.get_project(project_id) == kept
    assert judging.store.list_systems(project_id) == ("mini",)


def test_an_item_that_was_not_given_cannot_be_judged(tmp_path: Path) -> None:
    judging, project_id = open_judging(tmp_path)
    submission = Submission(
        project_id=project_id,
        item_id=make_case().item_id,
        person="ann",
        answers=make_answers({"d1": 1}),
        save_key="k",
    )
    with pytest.raises(InputError, match="given to you"):
        judging.save(submission)
    assert judging.history(project_id) == ()


def test_nobody_reads_others_answers_before_their_own(tmp_path: Path) -> None:
    judging, project_id = open_judging(tmp_path)
    item_id = make_case().item_id
    judging.store.set_role(project_id, "ann", "annotator")
    judging.store.set_role(project_id, "ada", "adjudicator")
    save(judging, "ann", item_id, make_answers({"d1": 3}))
    with pytest.raises(AccessError):
        read_for_adjudication(judging, project_id, item_id, "ann")
    with pytest.raises(AccessError):
        read_for_adjudication(judging, project_id, item_id, "stranger")
    assert len(read_for_adjudication(judging, project_id, item_id, "ada")) == 1
    judging.assignments.assign(project_id, "ada", [item_id])
    with pytest.raises(AccessError, match="your own"):
        read_for_adjudication(judging, project_id, item_id, "ada")
    save(judging, "ada", item_id, make_answers({"d1": 2}))
    assert [j.person for j in read_for_adjudication(judging, project_id, item_id, "ada")] == [
        "ada",
        "ann",
    ]
    assert require_role(judging, project_id, "olga", ("owner",)) == "owner"


def test_two_adjudicators_share_one_row_of_versions(tmp_path: Path) -> None:
    judging, _ = open_judging(tmp_path)
    item_id = make_case().item_id
    one = save(judging, "ada", item_id, make_answers({"d1": 1}), kind="adjudication")
    two = save(judging, "olga", item_id, make_answers({"d1": 2}), kind="adjudication")
    assert (one.version, two.version, two.conflict) == (1, 2, True)


def test_somebody_always_owns_a_project(tmp_path: Path) -> None:
    judging, project_id = open_judging(tmp_path)
    for role in (None, "annotator"):
        with pytest.raises(InputError, match="owner"):
            judging.store.set_role(project_id, "olga", role)
    assert judging.store.find_role(project_id, "olga") == "owner"
    assert [v.items for v in judging.store.list_projects("olga")] == [1]
    assert judging.store.list_projects("stranger") == ()


def test_adding_items_twice_adds_them_once(tmp_path: Path) -> None:
    judging, project_id = open_judging(tmp_path, items=2)
    assert judging.store.add_items(project_id, [make_case(2), make_case(3)]) == 1
    assert len(judging.store.list_items(project_id)) == 3
    with pytest.raises(InputError, match="grade among"):
        judging.store.add_items(project_id, [make_case(4, gold=make_answers({"d1": 9}))])


@pytest.mark.parametrize(
    "answers",
    [
        make_answers({"d1": 4}),
        make_answers({"d9": 1}),
        make_answers({}, order=(("d1", "d1"),)),
        make_answers({}, order=((),)),
        make_answers({}, order=(("d9",),)),
        make_answers({}, comment="x" * 10_001),
        make_answers({}, reasons=(judge_reason("d3", "wrong"),)),
        make_answers({}, reasons=(judge_reason("d1", "wrong", steps=(PartAnswer(),)),)),
        make_answers({}, reasons=(judge_reason("d1", "wrong", evidence="selected"),)),
        make_answers({}, reasons=(judge_reason("d2", "wrong", evidence="accepted"),)),
        make_answers(
            {},
            reasons=(
                judge_reason("d1", None, evidence="selected", spans=(Span(start=0, end=99),)),
            ),
        ),
    ],
)
def test_answers_that_do_not_fit_are_refused(answers: Answers) -> None:
    with pytest.raises(InputError, match="expected"):
        check_answers(Project(project_id="p", name="P"), make_case(), answers)


def test_undecided_is_what_the_project_asks() -> None:
    project, item = Project(project_id="p", name="P"), make_case()
    assert len(list_undecided(project, item, Answers())) == 3 + 2 + 1 + 2 + 1
    only = replace(project, questions=("grade",))
    assert list_undecided(only, item, make_answers({"d1": 0, "d2": 0, "d3": 0})) == ()


def test_migrations_run_once_and_never_backwards(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    engine = open_database(url)

    def add_column(connection: sa.Connection) -> None:
        connection.exec_driver_sql("ALTER TABLE people ADD COLUMN note TEXT")

    def fail(connection: sa.Connection) -> None:
        connection.exec_driver_sql("ALTER TABLE people ADD COLUMN gone TEXT")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        migrate(engine, (*MIGRATIONS, add_column, fail))
    columns = {c["name"] for c in sa.inspect(engine).get_columns("people")}
    assert "note" in columns and "gone" not in columns
    assert migrate(engine, (*MIGRATIONS, add_column)) == len(MIGRATIONS) + 1
    with pytest.raises(InputError, match="newer"):
        open_database(url)


def test_a_database_that_cannot_be_used_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        open_database("postgresql://ann:hunter2@127.0.0.1:1/none")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(InputError, match="sqlite or postgresql"):
        open_database("mysql://localhost/x")
    (tmp_path / "file").write_text("not a database, and long enough to be looked at" * 30)
    with pytest.raises(InputError, match="DatabaseError"):
        open_database(f"sqlite:///{tmp_path / 'file'}")


def test_projects_from_yaml() -> None:
    project = read_project("name: Salt\noverlap: 3\nquestions: [grade, order]\n")
    assert (project.overlap, project.questions, project.blind) == (3, ("grade", "order"), True)
    assert load_project(dump_project(project)) == project
    copy = read_project(write_project(project))
    assert replace(copy, project_id=project.project_id) == project


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a\n- b",
        "name: [1]",
        "name: x\nunknown: 1",
        "name: x\noverlap: 0",
        "name: x\nquestions: [mood]",
        "name: x\nscale: [{value: 1, label: a}, {value: 2, label: b}]",
        "name: 'a\x07b'",
        "name: !!python/object/apply:os.system ['true']",
        "name: x\nguidelines: {",
    ],
)
def test_project_files_that_cannot_work_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected"):
        read_project(text)


_TEXT = st.text(max_size=20)
_ANSWERS = st.builds(
    Answers,
    grades=st.dictionaries(st.sampled_from(["d1", "d2", "d3"]), st.integers(0, 3)),
    order=st.permutations(["d1", "d2", "d3"]).map(lambda o: (tuple(o[:2]), (o[2],))),
    comment=_TEXT,
    flagged=st.booleans(),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(_ANSWERS, st.integers(0, 3)), max_size=6))
def test_every_version_stays_as_it_was(saves: list[tuple[Answers, int]]) -> None:
    judging, project_id = open_judging("sqlite:///:memory:")
    item_id = make_case().item_id
    for number, (answers, base) in enumerate(saves):
        save(judging, "ann", item_id, answers, base_version=base, save_key=str(number))
    history = judging.history(project_id)
    assert [j.answers for j in history] == [answers for answers, _ in saves]
    assert [j.conflict for j in history] == [base != n for n, (_, base) in enumerate(saves)]


@given(_ANSWERS)
def test_answers_survive_json(answers: Answers) -> None:
    assert load_answers(dump_answers(answers)) == answers
    check_answers(check_project(Project(project_id="p", name="P")), make_case(), answers)


def test_the_file_is_a_plain_sqlite_database(tmp_path: Path) -> None:
    judging, _ = open_judging(tmp_path)
    judging.store.close()
    with sqlite3.connect(tmp_path / "annotations.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)

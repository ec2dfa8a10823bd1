"""The Compare tab in a real browser: the published DL19 runs where they are, else runs made here;
systems run by a student without weights."""

from __future__ import annotations

import os
import random
import re
import zipfile
from pathlib import Path

import ir_measures
import pytest
from playwright.sync_api import Browser, Page, expect

from reranker.trec import read_qrels, read_run
from tests import test_browser_rank as rank_page
from tests.conftest import ROOT
from tests.test_browser_rank import WAIT_MS, Visit, close_visit, open_visit

pytestmark = pytest.mark.browser
browser = rank_page.browser
fake_student = rank_page.fake_student
fake_url = rank_page.fake_url
fake_page = rank_page.fake_page

DATA = Path(os.environ.get("DEAR_DATA") or ROOT.parent / "shared" / "data")
EXPORTS = (
    ("table-csv", "comparison.csv", "holm_randomization"),
    ("table-markdown", "comparison.md", "| system |"),
    ("table-latex", "comparison.tex", r"\toprule"),
    ("queries-csv", "comparison-queries.csv", "disagreement"),
)


def find_files(folder: Path) -> tuple[list[Path], Path, Path]:
    """Runs, qrels and texts: the published ones, or five made ones over twelve queries."""
    runs = sorted((DATA / "runs").glob("dl19.*.trec.gz"))
    if len(runs) == 5:
        return runs, DATA / "trec/dl19.qrels.txt", DATA / "trec/dl19.bm25-top100.jsonl.gz"
    draw = random.Random(0)
    queries = [f"q{n:02}" for n in range(12)]
    for name in "abcde":
        lines = [f"{q} Q0 d{d} 1 {draw.random():.6f} {name}\n" for q in queries for d in range(20)]
        (folder / f"{name}.trec").write_text("".join(lines))
    grades = [f"{q} 0 d{d} {draw.choice((0, 1, 2))}\n" for q in queries for d in range(15)]
    (folder / "qrels.txt").write_text("".join(grades))
    (folder / "topics.tsv").write_text("".join(f"{q}\tquestion number {q[1:]}\n" for q in queries))
    return sorted(folder.glob("?.trec")), folder / "qrels.txt", folder / "topics.tsv"


def open_compare(page: Page, source: str = "Files") -> None:
    page.get_by_role("tab", name="Compare").click()
    page.get_by_role("tab", name=source).click()


def load(page: Page, runs: list[Path], qrels: Path, texts: Path | None = None) -> None:
    page.locator("#cmp-runs input[type=file]").set_input_files(runs)
    page.locator("#cmp-qrels input[type=file]").set_input_files(qrels)
    if texts is not None:
        page.locator("#cmp-texts input[type=file]").set_input_files(texts)
        page.locator("#cmp-texts").get_by_text(texts.name.split(".")[0]).first.wait_for()
    page.locator("#cmp-runs").get_by_text(runs[-1].name.split(".")[0]).first.wait_for()
    page.locator("#cmp-qrels").get_by_text(qrels.name.split(".")[0]).first.wait_for()
    page.locator("#cmp-go").click()


def find_query(page: Page) -> str:
    return str(page.locator(".cmp-query").get_attribute("data-query"))


def list_queries(page: Page) -> list[str]:
    return [
        str(button.get_attribute("data-query"))
        for button in page.locator(".cmp-list [data-query]").all()
    ]


def press(page: Page, key: str, query_id: str) -> None:
    page.keyboard.press(key)
    expect(page.locator(".cmp-query")).to_have_attribute("data-query", query_id)


def save(page: Page, button: str, folder: Path) -> Path:
    with page.expect_download() as download:
        page.locator(button).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_published_runs_are_compared_walked_marked_and_exported(
    browser: Browser, fake_url: str, tmp_path: Path
) -> None:
    runs, qrels, texts = find_files(tmp_path)
    visit = open_visit(browser, fake_url)
    page = visit.page
    open_compare(page)
    load(page, runs, qrels, texts)
    table = page.locator("#cmp-table tbody tr")
    expect(table.first).to_contain_text("baseline")
    check_scores(page, runs, qrels)

    walk = list_queries(page)
    expect(page.locator(".cmp-query")).to_have_attribute("data-query", walk[0])
    press(page, "j", walk[1])
    press(page, "ArrowRight", walk[2])
    press(page, "k", walk[1])
    assert page.locator(".cmp-list [aria-current]").get_attribute("data-query") == walk[1]
    assert page.locator(".cmp-column").count() == 4
    page.keyboard.press("m")
    expect(page.locator(".cmp-flag")).to_have_count(1)
    page.locator(".cmp-remark [name=tags]").fill("jkm")  # typing walks nowhere
    page.locator(".cmp-remark [name=comment]").fill("why <b>so</b>?")
    page.get_by_role("button", name="Next").click()
    expect(page.locator(".cmp-query")).to_have_attribute("data-query", walk[2])
    assert page.evaluate("document.activeElement.dataset.move") == "next"
    press(page, "k", walk[1])
    expect(page.locator(".cmp-remark [name=comment]")).to_have_value("why <b>so</b>?")

    for button, name, words in EXPORTS:
        path = save(page, f"#cmp-{button}", tmp_path)
        assert path.name == name and words in path.read_text()
    assert "why <b>so</b>?" in (tmp_path / "comparison-queries.csv").read_text()
    check_runs(save(page, "#cmp-runs-zip", tmp_path), runs)
    check_report(browser, save(page, "#cmp-report-file", tmp_path), walk[1])
    for kind, start in (("svg", b"<svg"), ("png", b"\x89PNG")):
        picture = save(page, f"[data-picture={kind}][data-chart=cmp-deltas]", tmp_path)
        assert picture.read_bytes().startswith(start)
    close_visit(visit, fake_url)


def check_scores(page: Page, runs: list[Path], qrels: Path) -> None:
    """The page's nDCG@10 of every run is ir_measures'."""
    judged = read_qrels(qrels)
    for row, path in zip(page.locator("#cmp-table tbody tr").all(), runs, strict=False):
        plain = {q: dict(ranking) for q, ranking in read_run(path).items()}
        value = ir_measures.calc_aggregate([ir_measures.nDCG @ 10], judged, plain)
        (number,) = value.values()
        assert f"{number:.4f}" in row.inner_text()


def check_runs(archive: Path, runs: list[Path]) -> None:
    with zipfile.ZipFile(archive) as files:
        files.extractall(archive.parent / "runs")
    for number, path in enumerate(runs, start=1):
        (again,) = (archive.parent / "runs").glob(f"{number}-*.trec")
        before, after = read_run(path), read_run(again)
        assert {q: [d for d, _ in r] for q, r in before.items()} == {
            q: [d for d, _ in r] for q, r in after.items()
        }


def check_report(browser: Browser, path: Path, marked: str) -> None:
    """It opens without a network and says what was marked."""
    context = browser.new_context(offline=True)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda line: said.append(line.text))
    page.goto(path.as_uri())
    expect(page.locator(".cmp-said")).to_contain_text("why <b>so</b>?")
    assert marked in page.locator(".cmp-one:has(.cmp-said) h3").inner_text()
    assert page.locator(".cmp-bars rect").count() >= 12 and not said
    context.close()


def test_filters_leave_what_fits(browser: Browser, fake_url: str, tmp_path: Path) -> None:
    runs, qrels, _ = find_files(tmp_path)
    visit = open_visit(browser, fake_url)
    page = visit.page
    open_compare(page)
    load(page, runs[:3], qrels)
    page.locator(".cmp-query").wait_for(timeout=WAIT_MS)
    note = page.locator("#cmp-queries .note")
    total = len(list_queries(page))
    expect(note).to_contain_text(f"of {total} queries")
    chosen = list_queries(page)[-1]
    page.locator("#cmp-text textarea, #cmp-text input").fill(chosen)
    page.keyboard.press("Enter")
    expect(note).to_contain_text(f"1 of {total} queries")
    expect(page.locator(".cmp-query")).to_have_attribute("data-query", chosen)
    page.locator("#cmp-text textarea, #cmp-text input").fill("")
    page.get_by_text("Filter by difference").click()
    bound = page.locator("#cmp-max-delta textarea, #cmp-max-delta input")
    bound.fill("often")
    page.keyboard.press("Tab")
    expect(page.locator("#cmp-walk-error")).to_contain_text("a bound of a difference, got 'often'")
    bound.fill("-0.0001")
    page.keyboard.press("Enter")
    expect(page.locator(".cmp-delta.gain")).to_have_count(0)
    expect(page.locator("#cmp-walk-error p")).to_have_count(0)
    assert page.locator(".cmp-delta.loss").count() >= 1
    close_visit(visit, fake_url)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("q1 Q0 a 1 2 t\nq1 Q0 b\n", "bad.trec:2"),
        ("q1 Q0 a 1 nan t\n", "bad.trec:1"),
        ("<script>window.hacked=1</script>", "bad.trec:1"),
    ],
)
def test_a_malformed_run_is_told_with_its_line(
    fake_page: Visit, tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "bad.trec").write_text(text)
    (tmp_path / "good.trec").write_text("q1 Q0 a 1 2 t\n")
    (tmp_path / "qrels.txt").write_text("q1 0 a 1\n")
    page = fake_page.page
    open_compare(page)
    load(page, [tmp_path / "good.trec", tmp_path / "bad.trec"], tmp_path / "qrels.txt")
    expect(page.locator("#cmp-files-error .error")).to_contain_text(words)
    assert page.evaluate("window.hacked") is None
    assert not page.locator("#cmp-results").is_visible()


def test_systems_run_now_are_stopped_compared_and_opened_again(
    fake_page: Visit, fake_student: rank_page.FakeStudent, tmp_path: Path
) -> None:
    page = fake_page.page
    open_compare(page, "Run systems now")
    page.locator("#cmp-systems").get_by_text("stage 2 after stage 1").click()
    fake_student.reader = rank_page.FakeReader(hold=True)
    page.locator("#cmp-run").click()
    expect(page.locator("#cmp-run-status")).to_contain_text("bm25: 49 of 49 queries")
    page.locator("#cmp-stop").click()
    expect(page.locator("#cmp-run-status .stopped")).to_contain_text("Stopped")
    assert not page.locator("#cmp-results").is_visible()

    fake_student.reader = rank_page.FakeReader()
    page.locator("#cmp-limit input").fill("3")
    page.locator("#cmp-run").click()
    expect(page.locator("#cmp-run-status")).to_contain_text("3 queries by 3 systems")
    expect(page.locator("#cmp-failures")).to_contain_text("s a query more")
    expect(page.locator("#cmp-table .message")).to_contain_text("only 3 queries")
    page.locator(".cmp-column").last.locator("summary").first.click()
    expect(page.locator(".cmp-column .model").first).to_be_visible()
    archive = save(page, "#cmp-experiment", tmp_path)
    assert re.fullmatch(r"everyday-science-.*\.zip", archive.name)

    page.reload()  # the comparison belonged to the page that is gone
    fake_page.complaints.clear()
    open_compare(page)
    assert not page.locator("#cmp-results").is_visible()
    page.locator("#cmp-runs input[type=file]").set_input_files(archive)
    page.locator("#cmp-runs").get_by_text("everyday").first.wait_for()
    page.locator("#cmp-go").click()
    expect(page.locator("#cmp-table tbody tr")).to_have_count(3)


@pytest.mark.parametrize("width", [390, 900])
def test_a_narrow_window_never_scrolls_sideways(
    browser: Browser, fake_url: str, tmp_path: Path, width: int
) -> None:
    runs, qrels, texts = find_files(tmp_path)
    visit = open_visit(browser, fake_url, width=width)
    page = visit.page
    open_compare(page)
    load(page, runs, qrels, texts)
    page.locator(".cmp-query").wait_for(timeout=WAIT_MS)
    assert not visit.is_scrolled_sideways()
    # What Gradio cuts off scrolls nothing, and cannot be read either.
    for part in ("main", ".cmp-sources", "#cmp-results", ".cmp-remark", ".cmp-move"):
        box = page.locator(part).first.bounding_box()
        assert box is not None and box["x"] + box["width"] <= width
    close_visit(visit, fake_url)

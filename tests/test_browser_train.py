"""The Train tab in a real browser, with a tiny real student: one whole job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.library import Library
from app.ui import build_page, open_page
from reranker.jobs.job import list_jobs, stop_job
from tests import test_browser_rank as rank_page
from tests.replicas import build_biencoder_student
from tests.test_browser_rank import WAIT_MS, close_visit, find_free_port, open_visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]
browser = rank_page.browser
STEPS = 2000
JOB_WAIT_MS = 300_000
"""A job yields to everything else, so a busy machine may keep it waiting."""


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("jobs")
    yield root
    for job in list_jobs(root):
        if not job.ended:
            stop_job(job.job_id, root, now=True)


@pytest.fixture(scope="module")
def url(jobs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    student = build_biencoder_student(tmp_path_factory.mktemp("students") / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEAR_JOBS", str(jobs))
        page = build_page(Library(student=str(student)))
        port = find_free_port()
        open_page(page, "127.0.0.1", port)
        yield f"http://127.0.0.1:{port}/"
        page.close()


def open_train_tab(page: Page) -> None:
    page.get_by_role("tab", name="Train").click()
    page.locator("#train-data dl").wait_for(timeout=WAIT_MS)


def set_number(page: Page, group: str, name: str, value: str) -> None:
    page.locator("#train-settings").get_by_role("tab", name=group).click()
    page.locator(f"#train-{name} input").fill(value)


def wait_for_state(page: Page, state: str) -> None:
    page.locator(f"#train-view .job[data-status={state}]").wait_for(timeout=JOB_WAIT_MS)


def test_a_whole_job(browser: Browser, url: str, jobs: Path, tmp_path: Path) -> None:
    """Settings, start, reload, stop, resume, compare, activate, restart, delete."""
    visit = open_visit(browser, url)
    page = visit.page
    open_train_tab(page)
    set_up_job(page, tmp_path)
    page.locator("#train-start").click()
    wait_for_state(page, "running")
    assert not visit.complaints
    page.reload()
    open_train_tab(page)
    visit.complaints.clear()  # a page that is left breaks off what it has just asked for
    wait_for_state(page, "running")
    expect(page.locator("#train-view")).to_contain_text("RankNet")
    expect(page.locator("#train-view")).to_contain_text("best dev nDCG@10", timeout=JOB_WAIT_MS)
    page.locator("#train-stop").click()
    wait_for_state(page, "stopped")
    (job,) = list_jobs(jobs)
    assert job.status == "stopped" and 0 < job.step < STEPS
    page.locator("#train-resume").click()
    wait_for_state(page, "running")
    page.locator("#train-stop").click()
    wait_for_state(page, "stopped")
    (again,) = list_jobs(jobs)
    assert again.attempts == 2 and again.step >= job.step
    compare(page)
    activate(page)
    assert not visit.is_scrolled_sideways()
    close_visit(visit, url)


def set_up_job(page: Page, folder: Path) -> None:
    """A wrong setting is told; right ones are saved, changed, and loaded again."""
    page.locator("#train-settings > button").click()
    set_number(page, "Schedule", "schedule-steps", "0")
    expect(page.locator("#train-data-error .error")).to_contain_text("schedule.steps of 1 or more")
    expect(page.locator("#train-start")).to_be_disabled()
    for name, value in (("steps", str(STEPS)), ("eval_steps", "4"), ("save_steps", "1000")):
        set_number(page, "Schedule", f"schedule-{name}", value)
    set_number(page, "Schedule", "schedule-learning_rate", "0.01")
    set_number(page, "Machine", "threads", "1")
    set_number(page, "Data", "data-max_dev_queries", "3")
    command = page.locator("#train-command")
    expect(command).to_contain_text(f"--set=schedule.steps={STEPS}")
    expect(command).to_contain_text("--preset custom")
    expect(command).to_contain_text("data.max_dev_queries=3")
    with page.expect_download() as download:
        page.locator("#train-save").click()
    file = folder / download.value.suggested_filename
    download.value.save_as(file)
    set_number(page, "Schedule", "schedule-steps", "5")
    expect(command).to_contain_text("--set=schedule.steps=5 ")
    with page.expect_file_chooser() as chooser:
        page.locator("#train-load").click()
    chooser.value.set_files(file)
    expect(page.locator("#train-loaded")).to_contain_text("are in the form")
    expect(command).to_contain_text(f"--set=schedule.steps={STEPS} ")
    expect(page.locator("#train-start")).to_be_enabled()


def compare(page: Page) -> None:
    """Old against new adapter: all dev queries, then one of them side by side."""
    gain = page.locator("#train-gain")
    expect(gain).to_contain_text("nDCG@10 on 3 dev queries")
    expect(gain).to_contain_text("randomization test p")
    shown = page.locator("#train-query input").input_value()
    assert " " in shown, "the query's text stands there, not its id"
    page.locator("#train-try").click()
    sides = page.locator("#train-sides")
    expect(sides.locator("ol.side")).to_have_count(2, timeout=WAIT_MS)
    expect(sides).to_contain_text("It was held out")
    expect(sides).to_contain_text("After: the new adapter")


def activate(page: Page) -> None:
    """The adapter ranks on the Rank tab, is found again, is packed, is deleted."""
    page.locator("#train-offer").click()
    expect(page.locator("#train-error")).to_contain_text("now ranks with")
    page.locator("#train-pack").click()
    with page.expect_download() as download:
        page.locator("#train-zip").click()
    assert download.value.suggested_filename.endswith("-adapter.zip")
    page.locator("#train-push-drawer > button").click()
    page.locator("#train-repo input, #train-repo textarea").fill("no-owner")
    page.locator("#train-token input").fill("hf_secret")
    page.locator("#train-push").click()
    expect(page.locator("#train-pushed")).to_contain_text("owner/name")
    expect(page.locator("#train-token input")).to_have_value("")
    page.get_by_role("tab", name="Rank").click()
    page.locator("#query input, #query textarea").fill("why do tides rise")
    page.locator("#run").click()
    expect(page.locator("#status")).to_contain_text("Ranked", timeout=WAIT_MS)
    expect(page.locator("#strip")).to_contain_text("+20")  # the job is part of its name
    page.get_by_role("tab", name="Train").click()
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.locator("#train-delete").click()
    expect(page.locator("#train-view .job")).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.locator("#train-delete").click()
    expect(page.locator("#train-error")).to_contain_text("is deleted")
    expect(page.locator("#train-view")).to_contain_text("No job to show")

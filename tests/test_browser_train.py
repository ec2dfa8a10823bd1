"""The Train tab in a real browser, with a tiny real student: start, reload, stop, resume."""

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
    page.locator(f"#train-view .job[data-status={state}]").wait_for(timeout=WAIT_MS)


def test_a_job_is_started_reloaded_stopped_and_resumed(
    browser: Browser, url: str, jobs: Path
) -> None:
    visit = open_visit(browser, url)
    page = visit.page
    open_train_tab(page)
    page.locator("#train-settings > button").click()
    set_number(page, "Schedule", "schedule-steps", "0")
    expect(page.locator("#train-data-error .error")).to_contain_text("schedule.steps of 1 or more")
    expect(page.locator("#train-start")).to_be_disabled()
    for name, value in (("steps", "2000"), ("eval_steps", "1000"), ("save_steps", "1000")):
        set_number(page, "Schedule", f"schedule-{name}", value)
    set_number(page, "Machine", "threads", "1")
    set_number(page, "Data", "data-max_dev_queries", "3")
    expect(page.locator("#train-command")).to_contain_text("--set=schedule.steps=2000")
    expect(page.locator("#train-command")).to_contain_text("--preset custom")
    page.locator("#train-start").click()
    wait_for_state(page, "running")
    assert not visit.complaints
    page.reload()
    open_train_tab(page)
    visit.complaints.clear()  # a page that is left breaks off what it has just asked for
    wait_for_state(page, "running")
    expect(page.locator("#train-view")).to_contain_text("RankNet")
    page.locator("#train-stop").click()
    wait_for_state(page, "stopped")
    (job,) = list_jobs(jobs)
    assert job.status == "stopped" and 0 < job.step < 2000
    page.locator("#train-resume").click()
    wait_for_state(page, "running")
    page.locator("#train-stop").click()
    wait_for_state(page, "stopped")
    (again,) = list_jobs(jobs)
    assert again.attempts == 2 and again.step >= job.step
    page.locator("#train-offer").click()
    expect(page.locator("#train-error")).to_contain_text("Offered on the Rank tab")
    page.locator("#train-pack").click()
    with page.expect_download() as download:
        page.locator("#train-zip").click()
    assert download.value.suggested_filename.endswith("-adapter.zip")
    assert not visit.is_scrolled_sideways()
    close_visit(visit, url)

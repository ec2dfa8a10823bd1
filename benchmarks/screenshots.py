"""Pictures of the Rank tab at three sizes, for the README and for whoever changes the page.

    python -m benchmarks.screenshots [--out docs/screenshots] [--only rank]

Starts the app as it is, asks the first of its examples (stage 1 rescues the answer) in the
Chromium named by $CHROMIUM, and writes PNGs of at most 256 colours. Look at them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.live_app import ROOT, serve_app

FOLDER = ROOT / "docs" / "screenshots"
WAIT_MS = 300_000
COLOURS = 256
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """One picture. chart: the chart in front; selected: rank of the card that is chosen."""

    name: str
    width: int
    height: int
    theme: str = "light"
    chart: str = "Rank flow"
    selected: int | None = None
    asked: bool = True


SHOTS = (
    Shot(name="rank", width=1440, height=900, selected=2),
    Shot(name="rank-dark", width=1440, height=900, theme="dark", chart="Terms", selected=1),
    Shot(name="rank-tablet", width=900, height=900, chart="Scores"),
    Shot(name="rank-phone", width=390, height=1560),  # a phone's page, scrolled once
    Shot(name="rank-start", width=1440, height=700, asked=False),
)


def find_chromium() -> str:
    """Raises RuntimeError where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise RuntimeError("expected a Chromium, got none; set CHROMIUM to one")
    return found


def take_shot(browser: Browser, url: str, shot: Shot) -> bytes:
    """The picture as PNG."""
    page = browser.new_page(viewport={"width": shot.width, "height": shot.height})
    page.set_default_timeout(WAIT_MS)
    page.goto(f"{url}?__theme={shot.theme}")
    page.locator(".state.done").wait_for()
    if shot.asked:
        _ask(page, shot)
    page.mouse.move(0, 0)
    page.evaluate("document.fonts.ready")
    page.wait_for_timeout(500)  # the charts' last drawing
    picture = page.screenshot(animations="disabled")
    page.close()
    return picture


def _ask(page: Page, shot: Shot) -> None:
    page.locator(".example button").first.click()
    page.locator("#status .message.done").wait_for()
    page.get_by_role("tab", name=shot.chart, exact=True).click()
    page.locator(".charts .js-plotly-plot:visible").wait_for()
    if shot.selected is not None:
        page.locator(f"#card-{shot.selected} .pick").click()
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")


def shrink(picture: bytes) -> Image.Image:
    return Image.open(BytesIO(picture)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.screenshots")
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--only", choices=[shot.name for shot in SHOTS], help="one of them")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        serve_app(Path(folder) / "app.log") as url,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        for shot in (shot for shot in SHOTS if options.only in (None, shot.name)):
            shrink(take_shot(browser, url, shot)).save(
                options.out / f"{shot.name}.png", optimize=True
            )
        browser.close()


if __name__ == "__main__":
    main()

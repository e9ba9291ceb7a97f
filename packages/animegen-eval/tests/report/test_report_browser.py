"""The page in a real browser, opened from a file, without a network.

Chromium of the distribution, driven by Playwright: ``nox -s browser``. ``ANIMEGEN_BROWSER`` names another executable.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from animegen_eval.report.build import build_report
from animegen_eval.statistics.records import Resampling

pytestmark = pytest.mark.browser
PAIRS = [("cats", "a <b>bold</b> pair"), ("cats", "second"), ("dogs", "third"), ("dogs", "fourth")]
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
SEEN = """() => [...document.querySelectorAll("#screens video")].filter((video) => !video.closest("[hidden]"))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="python -m pip install playwright")
    executable = os.environ.get("ANIMEGEN_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.skip(f"none of {', '.join(NAMES)} is installed; set ANIMEGEN_BROWSER to another one")
    with playwright.sync_playwright() as driver:
        # A root user, as in a container, has no sandbox; the page is our own and has no network.
        opened = driver.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, write_study: Callable[..., Path]) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    return build_report(write_study(folder, PAIRS), folder / "out", resampling=Resampling(draws=200)).page


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def page(browser: Any, report: Path, complaints: list[str]) -> Iterator[Any]:
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("requestfailed", lambda request: complaints.append(f"{request.url}: {request.failure}"))
    opened.on("request", lambda request: request.url.startswith(("file:", "data:")) or complaints.append(request.url))
    opened.goto(report.resolve().as_uri())
    yield opened
    context.close()


def times(page: Any) -> list[float]:
    found: list[float] = page.evaluate(f"() => ({SEEN})().map((video) => video.currentTime)")
    return found


def ready(page: Any) -> None:
    page.wait_for_function(f"() => ({SEEN})().length && ({SEEN})().every((v) => v.readyState >= 2 && !v.seeking)")


def test_the_page_loads_without_complaint_and_fetches_nothing(page: Any, complaints: list[str]) -> None:
    ready(page)
    broken = "() => [...document.images].filter((image) => image.complete && !image.naturalWidth).length"
    assert page.evaluate(broken) == 0
    assert page.locator("h1").inner_text() == "balloon-removal × preprocessing × upsampling"
    assert page.locator(".findings li").count() >= 3
    captions = page.locator("#screens figure:has(video) figcaption").all_inner_texts()
    assert captions[6].startswith("110 flat · descreen · none")
    assert page.locator("figure svg[role=img]").count() >= 4
    assert page.locator("b >> text=bold").count() == 0  # the pair's name is text
    assert complaints == []


def test_clips_play_together_stop_and_step(page: Any, complaints: list[str]) -> None:
    ready(page)
    assert len(times(page)) == 8
    page.click("#play")
    page.wait_for_function(f"() => ({SEEN})().every((video) => video.currentTime > 0.15)", timeout=20_000)
    apart = f"() => {{ const all = ({SEEN})().map((v) => v.currentTime); return Math.max(...all) - Math.min(...all); }}"
    page.wait_for_function(f"() => ({apart})() < 0.2")
    page.click("#play")
    page.wait_for_function(f"() => ({SEEN})().every((video) => video.paused)")
    page.locator("#seek").evaluate("(bar) => { bar.value = 500; bar.dispatchEvent(new Event('input')); }")
    ready(page)
    half = times(page)
    assert max(half) - min(half) < 0.05
    page.click("#forth")
    ready(page)
    stepped = times(page)
    assert [after - before for before, after in zip(half, stepped, strict=True)] == pytest.approx([0.125] * 8, abs=0.01)
    assert complaints == []


def test_what_is_shown_is_the_clip_and_not_a_black_square(page: Any) -> None:
    ready(page)
    page.locator("#seek").evaluate("(bar) => { bar.value = 1000; bar.dispatchEvent(new Event('input')); }")
    ready(page)
    # Files are of no origin, so a canvas may not be read: what is on the screen is.
    shot = page.locator("#screens figure:has(video) video").first.screenshot()
    import cv2
    import numpy as np

    image = cv2.imdecode(np.frombuffer(shot, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image.mean() > 150  # white paper
    height, width = image.shape
    disc = image[int(height * 0.3) : int(height * 0.5), int(width * 0.62) : int(width * 0.75)]
    assert disc.mean() < 100  # the disc has come to where it is in the last panel


def test_clips_begin_again_when_they_loop_and_stop_when_they_do_not(page: Any) -> None:
    ready(page)
    page.select_option("#speed", "2")
    page.locator("#seek").evaluate("(bar) => { bar.value = 800; bar.dispatchEvent(new Event('input')); }")
    page.click("#play")
    page.wait_for_function("() => Number(document.getElementById('seek').value) < 500", timeout=20_000)
    page.uncheck("#loop")
    page.wait_for_function("() => document.getElementById('play').textContent === 'Play'", timeout=20_000)
    assert page.locator("#seek").input_value() == "1000"


def test_pairs_and_controls_are_chosen(page: Any, complaints: list[str]) -> None:
    ready(page)
    page.locator("button.pair").nth(2).click()
    assert page.locator("#pair-name").inner_text() == "dogs / third"
    assert page.locator("button.pair[aria-pressed=true]").count() == 1
    page.check("#show-controls")
    ready(page)
    assert len(times(page)) == 8 + 4
    page.keyboard.press("Escape")
    page.locator("#pair-name").focus()
    page.keyboard.press("n")
    assert page.locator("#pair-name").inner_text() == "dogs / fourth"
    page.keyboard.press(" ")
    page.wait_for_function(f"() => ({SEEN})().some((video) => !video.paused)")
    assert complaints == []


def test_tables_sort_by_mouse_and_by_keyboard(page: Any) -> None:
    table = page.locator("#t-systems")
    heads = table.locator("thead th")
    place = heads.all_inner_texts().index(next(text for text in heads.all_inner_texts() if "line-chamfer" in text))

    def column() -> list[float]:
        rows = table.locator("tbody tr")
        return [float(rows.nth(n).locator("th, td").nth(place).get_attribute("data-sort")) for n in range(rows.count())]

    before = column()
    assert before != sorted(before)
    heads.nth(place).locator("button").click()
    assert column() == sorted(before)
    assert heads.nth(place).get_attribute("aria-sort") == "ascending"
    heads.nth(place).locator("button").focus()
    page.keyboard.press("Enter")
    assert column() == sorted(before, reverse=True)
    assert heads.nth(place).get_attribute("aria-sort") == "descending"
    assert table.locator("th[aria-sort]").count() == 1


def test_the_markdown_table_is_copied(browser: Any, report: Path) -> None:
    context = browser.new_context(offline=True, permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(report.resolve().as_uri())
    page.click("text=Markdown for a paper")
    button = page.locator("button[data-copy=markdown]")
    button.click()
    page.wait_for_function("() => document.querySelector('[data-copy=markdown]').textContent === 'Copied'")
    assert page.evaluate("() => navigator.clipboard.readText()").startswith("Means over clips")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_is_readable_in_both_themes(browser: Any, report: Path, scheme: str) -> None:
    context = browser.new_context(offline=True, viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page = context.new_page()
    page.goto(report.resolve().as_uri())
    assert page.evaluate("() => document.documentElement.scrollWidth") == 360
    ink, paper = page.evaluate(
        "() => [getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert contrast(ink, paper) > 7
    label = page.locator("figure svg text").first
    assert contrast(label.evaluate("(text) => getComputedStyle(text).fill"), paper) > 7
    page.click("#theme")
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") != paper
    context.close()


def test_it_prints_with_its_figures(browser: Any, report: Path, tmp_path: Path) -> None:
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(report.resolve().as_uri())
    page.pdf(path=str(tmp_path / "page.pdf"))
    assert (tmp_path / "page.pdf").stat().st_size > 20_000
    page.emulate_media(media="print")
    assert page.locator("#player").is_hidden()
    context.close()


def contrast(first: str, second: str) -> float:
    """Ratio of two CSS colours (WCAG 2.1, 1.4.3)."""
    import re

    def luminance(colour: str) -> float:
        parts = [int(number) / 255 for number in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)

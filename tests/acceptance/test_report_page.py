"""The report as people see it, in a headless Chromium: complete, quiet, readable at every width, accessible.

Set REVECTOR_SCREENSHOTS to a folder to keep pictures of the page.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from browser import Page, browsing, found_browser
from report_story import story

pytestmark = pytest.mark.skipif(found_browser() is None, reason="there is no Chromium; on Debian: apt install chromium")

PLOTS = ("lift", "quality", "progress", "projection")
WIDTHS = (400, 1600)
LOOKS = [(width, dark) for width in WIDTHS for dark in (False, True)]
each_look = pytest.mark.parametrize(
    ("width", "dark"), LOOKS, ids=[f"{width}-{'dark' if dark else 'light'}" for width, dark in LOOKS]
)

Opened = Callable[..., Page]


@pytest.fixture(scope="module")
def report_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    with story(folder / "docs.db") as docs:
        return docs.report().save(folder / "report.html").as_uri()


@pytest.fixture(scope="module")
def opened(report_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    with browsing(tmp_path_factory.mktemp("profile")) as new_page:

        def open_page(**look: Any) -> Page:
            return new_page().open(report_url, **look)

        yield open_page


def _axe() -> str | None:
    """Return the accessibility checker's source, where a package has brought it."""
    for package, file in (("axe_playwright_python", "axe.min.js"), ("axe_core_python", "axe.min.js")):
        if (spec := find_spec(package)) is not None and spec.submodule_search_locations:
            return (Path(next(iter(spec.submodule_search_locations))) / file).read_text(encoding="utf-8")
    return None


@each_look
def test_the_page_is_quiet_and_asks_for_nothing(opened: Opened, report_url: str, width: int, dark: bool) -> None:
    page = opened(width=width, dark=dark)
    assert page.said() == []
    assert {url for url in page.requested() if not url.startswith("data:")} == {report_url}


@each_look
def test_nothing_overflows_and_every_plot_can_be_seen(opened: Opened, width: int, dark: bool) -> None:
    page = opened(width=width, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for name in PLOTS:
        shown = page.evaluate(
            f"[...document.querySelectorAll('#plot-{name} > svg')].map(e => e.getBoundingClientRect())"
            ".filter(r => r.width > 0).map(r => [r.left, r.right, r.height])"
        )
        ((left, right, height),) = shown
        assert left >= 0
        assert right <= width
        assert height > 150
    if folder := os.environ.get("REVECTOR_SCREENSHOTS"):
        page.screenshot(Path(folder) / f"report-{width}-{'dark' if dark else 'light'}.png")


@pytest.mark.parametrize("width", [320, 400, 779, 780, 1600])
def test_text_in_plots_is_large_enough_to_be_read(opened: Opened, width: int) -> None:
    heights = opened(width=width).evaluate(
        "[...document.querySelectorAll('figure > svg text')].filter(e => e.getClientRects().length)"
        ".map(e => { const m = e.getScreenCTM();"
        "return parseFloat(getComputedStyle(e).fontSize) * Math.sqrt(Math.abs(m.a * m.d - m.b * m.c))})"
    )
    assert len(heights) > 20
    assert min(heights) > 9


@pytest.mark.parametrize("width", WIDTHS)
def test_text_in_plots_stays_inside(opened: Opened, width: int) -> None:
    outside = opened(width=width).evaluate(
        "[...document.querySelectorAll('figure > svg')].filter(e => e.getClientRects().length).flatMap(svg => {"
        "const box = svg.getBoundingClientRect(); return [...svg.querySelectorAll('text')].filter(t => {"
        "const r = t.getBoundingClientRect(); return r.left < box.left - 1 || r.right > box.right + 1})"
        ".map(t => t.textContent)})"
    )
    assert outside == []


@each_look
def test_the_accessibility_checker_finds_nothing(opened: Opened, width: int, dark: bool) -> None:
    if (source := _axe()) is None:
        pytest.skip("the accessibility checker is not installed: pip install axe-core-python")
    page = opened(width=width, dark=dark)
    page.evaluate(source + "; 0")
    found = page.evaluate(
        "axe.run(document, {resultTypes: ['violations']}).then(r => r.violations.map(v => "
        "[v.id, v.help, v.nodes.slice(0, 3).map(n => n.html.slice(0, 200) + ' ' + n.failureSummary)]))"
    )
    assert found == []


def test_headings_go_down_step_by_step(opened: Opened) -> None:
    levels = opened(width=1600).evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(e => +e.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_colours_change_with_the_scheme_and_not_in_print(opened: Opened) -> None:
    ink = "getComputedStyle(document.body).color + getComputedStyle(document.querySelector('figure text')).fill"
    light, dark = (opened(width=1600, dark=dark).evaluate(ink) for dark in (False, True))
    assert light != dark
    assert opened(width=1600, dark=True, media="print").evaluate(ink) == light


def test_it_prints(opened: Opened, tmp_path: Path) -> None:
    folder = Path(os.environ.get("REVECTOR_SCREENSHOTS", tmp_path))
    opened(width=1600).printed(folder / "report.pdf")
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")

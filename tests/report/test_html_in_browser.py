"""The HTML report in a real browser: it draws, asks for nothing, and works by keyboard."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.report.formats.registry import FORMATS
from tests.report.browser import BINARY, Browser, run_browser
from tests.report.exports import make_export

pytestmark = pytest.mark.skipif(BINARY is None, reason="no Chromium here")

#: Where pictures are kept as CI artifacts; the test's own folder if CI names none.
SCREENSHOTS = os.environ.get("HARNESS_SCREENSHOTS")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with run_browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    FORMATS["html"].write(make_export(30), path)
    return path


@pytest.mark.parametrize(
    ("name", "width", "dark"),
    [("desktop", 1280, False), ("phone", 390, False), ("dark", 1280, True)],
)
def test_it_draws_without_an_error_or_a_request_and_fits_the_screen(
    browser: Browser, page: Path, tmp_path: Path, name: str, width: int, dark: bool
) -> None:
    browser.open(page, width, 900, dark=dark)
    assert browser.errors() == []
    assert [url[:40] for url in browser.requests() if not url.startswith("data:")] == [
        page.as_uri()[:40]
    ]
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    drawn = browser.evaluate("document.querySelectorAll('.chart .main-svg').length")
    assert drawn >= 4
    folder = Path(SCREENSHOTS or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / f"report-{name}.png"
    browser.screenshot(picture)
    assert picture.stat().st_size > 20_000


def test_dark_and_light_differ(browser: Browser, page: Path) -> None:
    colours = []
    for dark in (False, True):
        browser.open(page, 1280, 900, dark=dark)
        colours.append(browser.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(255, 255, 255)", "rgb(13, 17, 23)"]


def test_the_buttons_walk_through_the_failures(browser: Browser, page: Path) -> None:
    browser.open(page, 1280, 900)
    chosen = []
    for _ in range(3):
        browser.evaluate("document.getElementById('next').click()")
        chosen.append(browser.evaluate("document.getElementById('chosen').textContent"))
    assert "harness rerun r." in chosen[0]
    assert chosen[0] != chosen[1]
    assert chosen[2] == chosen[0], "after the last comes the first"


def test_a_click_on_a_mark_chooses_its_attempt(browser: Browser, page: Path) -> None:
    browser.open(page, 1280, 900)
    browser.evaluate("document.getElementById('strip').emit('plotly_click', {points: [{x: 5}]})")
    said = browser.evaluate("document.getElementById('chosen').textContent")
    assert said.startswith("r.")
    assert "seed" in said


def test_pointing_at_a_mark_names_its_attempt(browser: Browser, page: Path) -> None:
    browser.open(page, 1280, 900)
    browser.evaluate("document.getElementById('strip').emit('plotly_hover', {points: [{x: 0}]})")
    assert browser.evaluate("document.getElementById('hovered').textContent").startswith("r.")


def test_everything_that_acts_is_reached_by_the_keyboard(browser: Browser, page: Path) -> None:
    browser.open(page, 1280, 900)
    unreachable = browser.evaluate(
        "[...document.querySelectorAll('a, button, summary')].filter(e => e.tabIndex < 0).length"
    )
    assert unreachable == 0
    key = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
    browser.call("Input.dispatchKeyEvent", type="keyDown", **key)
    assert browser.evaluate("document.activeElement.className") == "skip"

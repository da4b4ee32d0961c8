"""The HTML report: self-contained, and hostile text in it is only text."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from harness.report.formats.registry import FORMATS
from harness.report.html.evidence import collect_evidence
from harness.report.html.page import escape_json, render_page
from harness.report.html.strip import make_strip
from harness.report.run_export import RunExport
from tests.report.exports import HOSTILE, make_export
from tests.report.runs import ASCENDING, make_report

EXPORT = make_export(20)
PAGE = render_page(EXPORT)


class Elements(HTMLParser):
    """The tags of a page with their attributes, and its text outside of scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._silent = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._silent = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 (the base class names it)
        self._silent = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self._silent else data


def test_the_page_holds_every_section_and_loads_nothing() -> None:
    page = Elements(PAGE)
    sections = {found["id"] for tag, found in page.tags if tag == "section"}
    assert sections >= {"verdict", "cells", "comparisons", "attempts", "failures", "follows",
                        "time", "environment"}  # fmt: skip
    assert not [found for tag, found in page.tags if "src" in found or tag in ("link", "img")]
    assert all((found["href"] or "").startswith("#") for tag, found in page.tags if tag == "a")


def test_hostile_texts_add_no_element() -> None:
    clean = make_export(20)
    plain = replace(clean, attempts=[replace(row, message="m") for row in clean.attempts])
    assert [tag for tag, _ in Elements(PAGE).tags].count("img") == 0
    hostile_name = replace(EXPORT.report.cells[0], suite=HOSTILE, name=HOSTILE)
    report = replace(EXPORT.report, cells=(hostile_name, *EXPORT.report.cells[1:]))
    hostile = Elements(render_page(replace(plain, report=report)))
    assert [tag for tag, _ in hostile.tags].count("script") == 3
    assert not [name for _, found in hostile.tags for name in found if name.startswith("on")]


def test_json_in_the_page_ends_no_script() -> None:
    text = str(escape_json({"a": HOSTILE}))
    assert "<" not in text
    assert json.loads(text) == {"a": HOSTILE}


def test_a_policy_allows_the_pages_own_scripts_alone() -> None:
    (policy,) = [found["content"] or "" for tag, found in Elements(PAGE).tags
                 if found.get("http-equiv") == "Content-Security-Policy"]  # fmt: skip
    assert policy.startswith("default-src 'none'")
    assert re.findall(r"script-src (.*)", policy)[0].count("sha256-") == 2


def test_every_attempt_that_did_not_pass_comes_with_its_command() -> None:
    text = Elements(PAGE).text
    for row in EXPORT.attempts:
        assert (f"harness rerun {row.id}" in text) == (row.status != "passed")
    assert "harness run s.py --seed 7" in text


def test_a_log_that_is_missing_is_said_and_one_that_is_there_is_shown(tmp_path: Path) -> None:
    (missing,) = collect_evidence(EXPORT.report, EXPORT.attempts)
    assert "cannot be read" in missing.missing
    (tmp_path / "rank0.log").write_text("x" * 10_000 + "\nlast words\n")
    rows = [replace(row, folder=str(tmp_path)) for row in EXPORT.attempts]
    (found,) = collect_evidence(EXPORT.report, rows)
    assert found.log.endswith("last words\n")
    assert len(found.log) <= 6000


def test_the_strip_has_every_attempt_once_in_the_order_of_start() -> None:
    rows = [replace(row, started=100.0 - row.position) for row in EXPORT.attempts]
    strip = make_strip(rows)
    assert strip["ids"] == [row.id for row in reversed(rows)]
    assert strip["statuses"][strip["status"][-1]] == rows[0].status.value


def test_a_run_without_an_attempt_and_a_running_one_are_pages_too() -> None:
    report = make_report({}, 5, infra={ASCENDING: 5}, run_status="running")
    page = render_page(RunExport(report, [], lambda: iter(())))
    assert "running" in Elements(page).text


@pytest.mark.parametrize("size", [10, 1 << 20])
def test_messages_of_a_megabyte_keep_the_page_small(size: int, tmp_path: Path) -> None:
    rows = [replace(row, message="x" * size) for row in EXPORT.attempts]
    FORMATS["html"].write(replace(EXPORT, attempts=rows), tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 6_000_000

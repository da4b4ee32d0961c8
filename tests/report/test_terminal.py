"""The report in a terminal: complete at any width, and hostile text is only shown."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from harness.analysis.report_model import CellRate, Report, SignatureCount, TestRate
from harness.core.capture_measurement import CaptureMeasurement
from harness.core.cell import Cell
from harness.report.layout import lay_out, shorten_names
from harness.report.terminal import find_cause, print_report
from harness.report.views import Column, Entry, Row, Shape, TableView
from harness.stats.intervals import Interval
from tests.report.runs import ASCENDING, DESCENDING, make_report

SNAPSHOTS = Path(__file__).parent / "snapshots"


def render(report: Report, width: int = 80, *, terminal: bool = True, quiet: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, no_color=True)
    print_report(report, console, quiet=quiet)
    return out.getvalue().replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "")


def make_six_cells() -> Report:
    """Three backends, two orders: the main case of `harness run` on a GPU."""
    report = make_report({ASCENDING: 2, DESCENDING: 10})
    cells = []
    for number, backend in enumerate(("torch_native", "fa3", "flex")):
        for cell in report.cells:
            axes = Cell((("order", str(cell.axes.get("order"))), ("backend", backend), ("tp", 2)))
            kinds = {"illegal-access": max(cell.failed - number, 0), "out-of-memory": number}
            kinds = {kind: n for kind, n in kinds.items() if n}
            cells.append(
                replace(
                    cell,
                    name=axes.label,
                    axes=axes,
                    kinds=kinds,
                    kind_intervals=dict.fromkeys(kinds, Interval(0.01, 0.25, 0.95, "x")),
                    seconds=12.34 + number,
                )
            )
    (contrast,) = report.contrasts
    contrasts = [replace(contrast, where=b) for b in ("torch_native", "fa3", "flex")]
    return replace(report, cells=tuple(cells), contrasts=tuple(contrasts))


def make_three_suites() -> Report:
    report = make_report({})
    suites = [f"suites/test_model_{name}.py::TestDecode" for name in ("a", "b", "c")]
    cells = [replace(c, suite=s, name=f"{s} {c.name}") for s in suites for c in report.cells]
    return replace(report, cells=tuple(cells))


CASES = {
    "one-cell": lambda: replace(
        make_report({ASCENDING: 2}), cells=make_report({ASCENDING: 2}).cells[:1], contrasts=()
    ),
    "six-cells": make_six_cells,
    "three-suites": make_three_suites,
}


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("name", CASES)
def test_a_terminal_shows_what_the_snapshot_holds(name: str, width: int) -> None:
    shown = render(CASES[name](), width)
    snapshot = SNAPSHOTS / f"{name}-{width}.txt"
    assert shown == snapshot.read_text(), f"look at it, then write it to {snapshot}"


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
def test_no_number_and_no_kind_is_cut_at_any_width(width: int) -> None:
    report = make_six_cells()
    text = render(report, width)
    assert "…" not in text
    for cell in report.cells:
        assert f"{cell.failed}/{cell.valid}" in text
        for kind, n in cell.kinds.items():
            assert f"{kind} {n}" in text
    assert text.count("20 % [10 %, 34 %]") == 3
    longest = max(text.splitlines(), key=len)
    assert len(longest) <= width, longest


def test_a_table_says_once_what_all_rows_share() -> None:
    head = render(make_six_cells(), 120).splitlines()[2]
    assert "tp 2" in head
    assert "capture order as asked" in head
    assert "pool / peak 1.0 / 0.5 MiB" in head


def test_suites_that_are_alike_in_every_count_share_a_table() -> None:
    assert render(make_three_suites(), 160).count("rate [95 %]") == 1
    report = make_three_suites()
    first, *others = report.cells
    differing = replace(report, cells=(replace(first, infra=1), *others))
    assert render(differing, 160).count("rate [95 %]") == 2


def test_bounds_are_shown_and_never_a_tick() -> None:
    text = render(make_report({DESCENDING: 10}))
    assert "0 % [0 %, 7.1 %]" in text
    assert "recorded graphs" in text
    assert not set("✓✔✅") & set(text)


def test_an_order_that_was_not_the_requested_one_is_marked() -> None:
    report = make_report({})
    capture = replace(report.cells[0].capture, observed="descending")
    cells = (replace(report.cells[0], capture=capture), report.cells[1])
    assert "descending, asked: ascending" in render(replace(report, cells=cells))


def test_quiet_is_the_first_line_and_the_verdict() -> None:
    report = make_report({DESCENDING: 10})
    first, *lines = render(report, 10_000, quiet=True).splitlines()
    assert first.startswith("run r: complete")
    assert lines == [f"• {sentence}" for sentence in report.verdict.sentences]


def test_output_that_is_no_terminal_has_one_line_per_row_and_no_escape() -> None:
    out = io.StringIO()
    print_report(make_six_cells(), Console(file=out, width=80))
    text = out.getvalue()
    assert "\x1b" not in text
    assert any("illegal-access 8, out-of-memory 2" in line for line in text.splitlines())


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_nothing_is_said_by_colour_and_no_color_is_obeyed(environment: dict[str, str]) -> None:
    out = io.StringIO()
    surroundings = {"TERM": "xterm-256color", "COLUMNS": "80", **environment}
    print_report(make_six_cells(), Console(file=out, force_terminal=True, _environ=surroundings))
    assert not re.search(r"\x1b\[[0-9;]*[349][0-7]", out.getvalue())


def test_each_signature_has_its_cause_and_its_logs_below_the_table() -> None:
    report = make_report({DESCENDING: 10})
    one = SignatureCount(
        "abcdef",
        "Boom @ <n>",
        "assertion",
        "run",
        10,
        "r.7",
        "Traceback (most recent call last):\n  x\n\nBoom: page 17\n",
        folder=str(Path.cwd() / ".harness/runs/r/r.7"),
    )
    text = render(replace(report, signatures=(one,)))
    assert "10x assertion in run: Boom @ <n>" in text
    assert "    Boom: page 17" in text
    assert "log: .harness/runs/r/r.7/rank0.log" in text
    elsewhere = replace(report, signatures=(replace(one, folder="/state/runs/r/r.7"),))
    assert "log: /state/runs/r/r.7/rank0.log" in render(elsewhere)


def rate_test(name: str, failed: int) -> TestRate:
    return TestRate(
        f"s.py::{name}", 50 - failed, failed, 0, 0 if failed else 3, 0, {},
        Interval(0, 0.2, 0.95, "x"),
    )  # fmt: skip


def with_tests(*tests: TestRate) -> Report:
    report = make_report({ASCENDING: 9})
    return replace(report, cells=(replace(report.cells[0], tests=tests), report.cells[1]))


def test_names_that_differ_at_their_end_stay_different() -> None:
    stem = "TestDecode::test_all_lengths_of_the_prompt_are_decoded_alike_by_every_backend"
    text = render(with_tests(rate_test(f"{stem}[1]", 2), rate_test(f"{stem}[2]", 3)))
    assert "backend[1]" in text
    assert "backend[2]" in text


def test_names_that_cutting_would_merge_stay_whole() -> None:
    long, other = "a" + "x" * 40, "b" + "x" * 40
    assert shorten_names([long, other], 20) == [long, other]
    assert shorten_names([long, long], 20) == ["…" + "x" * 19] * 2


def test_tests_that_were_merely_not_reached_take_one_line() -> None:
    text = render(
        with_tests(rate_test("test_a", 2), rate_test("test_b", 0), rate_test("test_c", 0))
    )
    assert "cannot say" not in text
    assert "not reached in ascending: 2 tests that never failed" in text


def test_hostile_text_is_shown_and_not_obeyed() -> None:
    report = make_report({DESCENDING: 1}, 2, kind="[bold red]x[/nonsense]\x1b[2J\x07")
    text = render(report, 200)
    assert "[bold red]x[/nonsense]" in text
    assert "\x1b[2J" not in text
    assert "\x07" not in text


def test_wide_characters_are_measured_as_the_terminal_draws_them() -> None:
    columns = (Column("name", Shape.LABEL), Column("n", Shape.NUMBER))
    rows = tuple(Row((Entry(name), Entry("7"))) for name in ("日本語", "abc"))
    lines = [line.plain for line in lay_out(TableView("x", (), (), columns, rows), 40)]
    assert lines[2:] == ["日本語  7", "abc     7"]


def test_a_cell_that_captured_nothing_says_nothing_of_memory() -> None:
    report = make_report({})
    cells: list[CellRate] = [replace(c, capture=CaptureMeasurement()) for c in report.cells]
    assert "MiB" not in render(replace(report, cells=tuple(cells)))


def test_the_cause_is_the_errors_own_line_and_no_hint_below_it() -> None:
    message = (
        "CUDA error: device-side assert triggered\n"
        "CUDA kernel errors might be asynchronously reported\n"
        "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n"
    )
    assert find_cause(message) == ["CUDA error: device-side assert triggered"]

"""Two stored runs compared: which cells, by which method, and what else changed."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from harness.analysis.comparison_report import mark_attempts, report_comparison
from harness.analysis.run_changes import list_changes
from harness.analysis.run_comparison import RunComparison, compare_runs
from harness.analysis.run_counts import RunCounts, count_run
from harness.core.capture_measurement import CaptureMeasurement
from harness.core.cell import Cell
from harness.core.errors import UsageError
from harness.core.exits import ExitCode
from harness.core.plan import Plan, PlannedCell, plan_to_dict, schedule
from harness.core.records import AttemptRow, RunRecord
from harness.core.statuses import AttemptStatus, RunStatus
from harness.report.formats.registry import FORMATS
from harness.report.run_export import RunExport
from harness.report.run_schema import find_problems
from harness.stats.change_points import RunTally
from harness.stats.contrasts import Finding
from harness.stats.wording import describe_contrast
from tests.report.runs import write_object

ASCENDING, DESCENDING = (Cell((("order", o), ("tp", 1))) for o in ("ascending", "descending"))


def row(position: int, cell: Cell, repeat: int = 0, *, failed: bool) -> AttemptRow:
    return AttemptRow(
        id=f"r.{position}", run_id="r", position=position, replaces=0, suite="s.py",
        cell=cell.key, repeat=repeat, seed=position,
        status=AttemptStatus.FAILED if failed else AttemptStatus.PASSED,
        kind="assertion" if failed else None, phase=None, signature=None, message=None,
        failed_test=None, devices=["cpu:0"], node="n", zygote="z", isolation="fork", started=1.0,
        wall_seconds=2.0, inside_seconds=1.9, capture=CaptureMeasurement(), replays={},
        notes=[], folder="f", log_tails={},
    )  # fmt: skip


def run(
    name: str,
    failures: dict[Cell, int],
    *,
    repeats: int = 50,
    ended: int | None = None,
    fixed_seed: bool = False,
    fingerprint: dict[str, object] | None = None,
) -> RunCounts:
    plan = Plan(
        tuple(PlannedCell("s.py", cell) for cell in failures), repeats, 7, fixed_seed, False
    )
    rows = [
        # Failures lie evenly, so that they are no clusters.
        row(
            a.position,
            a.cell,
            a.repeat,
            failed=a.repeat * failures[a.cell] % repeats < failures[a.cell],
        )
        for a in schedule(plan)[:ended]
    ]
    record = RunRecord(
        name, 1.0, 7, "cpu", plan_to_dict(plan), {}, fingerprint or {}, RunStatus.COMPLETE
    )
    return count_run(record, rows, [])


def compare_with_history(base: RunCounts, head: RunCounts) -> RunComparison:
    """Compare where earlier runs failed as often as the base did, each of them."""
    history = {
        f"{cell.suite} · {cell.axes.label}": [RunTally(cell.failed, cell.passed)] * 8
        for cell in base.cells
    }
    return compare_runs(base, head, history)


def test_without_a_history_of_runs_no_difference_is_called() -> None:
    before, after = run("before", {ASCENDING: 15}), run("after", {ASCENDING: 0})
    (contrast,) = compare_runs(before, after, {}).contrasts
    assert contrast.finding is Finding.CANNOT_SAY
    assert "--rev" in contrast.reason


def test_runs_that_always_differed_so_much_leave_it_undecided() -> None:
    before, after = run("before", {ASCENDING: 15}), run("after", {ASCENDING: 3})
    name = f"s.py · {ASCENDING.label}"
    varied = {name: [RunTally(k, 50 - k) for k in (2, 16, 5, 14, 1, 12)]}
    found = compare_runs(before, after, varied)
    assert found.contrasts[0].finding is Finding.UNDECIDED
    assert found.exit_code is ExitCode.UNDECIDED


def test_an_undecided_fix_says_how_many_clean_attempts_it_needs() -> None:
    before, after = run("before", {ASCENDING: 5}), run("after", {ASCENDING: 0}, repeats=20)
    (contrast,) = compare_with_history(before, after).contrasts
    assert "45 clean attempts" in contrast.outlook


def test_a_fix_that_worked_is_said_per_cell() -> None:
    found = compare_with_history(
        run("before", {ASCENDING: 15, DESCENDING: 0}), run("after", {ASCENDING: 0, DESCENDING: 0})
    )
    first, second = found.contrasts
    assert describe_contrast(first).startswith(
        "after fails less often than before for s.py · ascending · tp 1: 0/50 against 15/50"
    )
    assert "Holm over 2" in describe_contrast(first)
    assert second.finding is Finding.UNDECIDED
    assert found.exit_code is ExitCode.OK


def test_a_change_for_the_worse_exits_1_and_no_difference_is_undecided() -> None:
    clean, bad = run("a", {ASCENDING: 0}), run("b", {ASCENDING: 20})
    assert compare_with_history(clean, bad).exit_code is ExitCode.FAILURES
    assert compare_with_history(clean, run("c", {ASCENDING: 1})).exit_code is ExitCode.UNDECIDED


def test_a_run_cut_short_is_compared_by_what_holds_at_every_look() -> None:
    found = compare_with_history(run("a", {ASCENDING: 0}), run("b", {ASCENDING: 20}, ended=30))
    comparison = found.contrasts[0].comparison
    assert comparison
    assert comparison.test == "e-process"


def test_cells_are_matched_by_all_their_axes_whatever_else_was_run() -> None:
    found = compare_with_history(run("a", {ASCENDING: 9, DESCENDING: 0}), run("b", {ASCENDING: 0}))
    assert len(found.contrasts) == 1
    assert found.only_in_one == ["s.py · descending · tp 1: only in run a"]


def test_runs_that_cannot_be_compared_are_refused() -> None:
    one = run("a", {ASCENDING: 0})
    with pytest.raises(UsageError, match="is one run: name two"):
        compare_with_history(one, one)
    with pytest.raises(UsageError, match="share no cell"):
        compare_with_history(one, run("b", {DESCENDING: 0}))
    with pytest.raises(UsageError, match="one observation"):
        compare_with_history(one, run("b", {ASCENDING: 0}, fixed_seed=True))


def test_everything_recorded_that_changed_is_listed() -> None:
    first = run("a", {ASCENDING: 0}, fingerprint={
        "sha": "1" * 40, "driver": "580.1", "packages": {"torch": "2.11"},
        "devices": [{"name": "H100", "id": "0", "node": "x"}],
    }).run  # fmt: skip
    second = replace(first, id="b", fingerprint={
        "sha": "2" * 40, "driver": "590.2", "packages": {"torch": "2.13", "ray": "2.60"},
        "devices": [{"name": "H200", "id": "0", "node": "x"}],
    })  # fmt: skip
    told = list_changes(first, second)
    assert f"commit: {'1' * 40} -> {'2' * 40}" in told
    assert "driver: 580.1 -> 590.2" in told
    assert "device models: H100 -> H200" in told
    assert "package torch: 2.11 -> 2.13" in told
    assert "package ray: none -> 2.60" in told
    assert list_changes(first, first) == []


def test_fingerprints_of_any_shape_are_read() -> None:
    first = run("a", {ASCENDING: 0}).run
    assert (
        list_changes(first, replace(first, fingerprint={"devices": None, "packages": None})) == []
    )


def test_a_comparison_is_a_report_that_every_format_writes(tmp_path: Path) -> None:
    base = run("before", {ASCENDING: 15, DESCENDING: 0})
    head = run("after", {ASCENDING: 0})
    found = compare_runs(base, head, {})
    report = report_comparison(found)
    assert find_problems(write_object(report)) == []
    assert [(cell.axes.get("run"), cell.failed) for cell in report.cells] == [
        ("before", 15), ("after", 0), ("before", 0),
    ]  # fmt: skip
    (contrast,) = report.contrasts
    assert (contrast.axis, contrast.value, contrast.reference) == ("run", "after", "before")
    assert contrast.counts == (0, 50, 15, 50)
    assert any("only in run before" in sentence for sentence in report.verdict.sentences)
    attempts = [*mark_attempts(base), *mark_attempts(head)]
    export = RunExport(report, attempts, lambda: iter(()))
    for name, one in FORMATS.items():
        one.write(export, tmp_path / name)
    assert len(read_suites(tmp_path / "junit")) == 3


def read_suites(path: Path) -> list[str]:
    return [suite.get("name") or "" for suite in ET.parse(path).getroot().findall("testsuite")]

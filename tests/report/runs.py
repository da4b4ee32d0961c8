"""Stored runs made by hand, counted and reported."""

import json
from typing import Any

from harness.analysis.build_report import build_report
from harness.analysis.report_model import Report
from harness.analysis.run_counts import RunCounts, count_run
from harness.analysis.verdict import judge_run
from harness.core.capture_measurement import CaptureMeasurement
from harness.core.cell import Cell
from harness.core.plan import Plan, PlannedAttempt, PlannedCell, plan_to_dict, schedule
from harness.core.records import AttemptRow, RunRecord, TestCount
from harness.core.statuses import AttemptStatus, RunStatus
from harness.report.run_json import write_run_json

SHA = "59e348bc8a90" + "0" * 28
ASCENDING, DESCENDING = (Cell((("order", o), ("tp", 1))) for o in ("ascending", "descending"))


def attempt(planned: PlannedAttempt, status: str, kind: str | None) -> AttemptRow:
    position, cell = planned.position, planned.cell
    failed, order = status != "passed", str(cell.get("order"))
    return AttemptRow(
        id=f"r.{position}", run_id="r", position=position, replaces=0, suite="s.py",
        cell=cell.key, repeat=planned.repeat, seed=position, status=AttemptStatus(status),
        kind=kind if failed else None,
        phase="run" if failed else None, signature=f"sig {kind}" if failed else None,
        message="m" if failed else None, failed_test=None, devices=["cpu:0"], node="n",
        zygote="z", isolation="fork", started=1.0 + 2.0 * position,
        wall_seconds=2.0, inside_seconds=1.9,
        capture=CaptureMeasurement("recorded", order, order, 1 << 20, 1 << 19, 0.5),
        replays={}, notes=[], folder=f".harness/runs/r/r.{position}", log_tails={},
    )  # fmt: skip


def spread(failed: int, infra: int, attempts: int) -> list[str]:
    """Statuses of a cell's attempts: infrastructure first, then failures evenly spread."""
    rest = attempts - infra
    fails = [i * failed % rest < failed for i in range(rest)]
    return ["infra"] * infra + ["failed" if one else "passed" for one in fails]


def make_counts(
    failed: dict[Cell, int],
    repeats: int = 50,
    *,
    infra: dict[Cell, int] | None = None,
    run_status: str = "complete",
    missing: int = 0,
    kind: str = "wrong-output",
    fixed_seed: bool = False,
    gate: float | None = None,
    until_decided: bool = False,
) -> RunCounts:
    cells = (PlannedCell("s.py", ASCENDING), PlannedCell("s.py", DESCENDING))
    plan = Plan(
        *(cells, repeats, 7, fixed_seed),
        in_ci=False,
        until_decided=until_decided,
        max_flake_rate=gate,
    )
    chosen = {cell: spread(failed.get(cell, 0), (infra or {}).get(cell, 0), repeats)
              for cell in (ASCENDING, DESCENDING)}  # fmt: skip
    rows = [
        attempt(planned, chosen[planned.cell][planned.repeat], kind)
        for planned in schedule(plan)[: 2 * repeats - missing]
    ]
    run = RunRecord("r", 1.0, 7, "cpu", plan_to_dict(plan), {}, {"sha": SHA},
                    RunStatus(run_status), 2.0)  # fmt: skip
    return count_run(run, rows, [])


def recount(counts: RunCounts, tests: list[TestCount]) -> RunCounts:
    """The same run with other counts of its tests."""
    return count_run(counts.run, counts.attempts, tests)


def make_report(failed: dict[Cell, int], repeats: int = 50, **more: Any) -> Report:
    return report_counts(make_counts(failed, repeats, **more))


def report_counts(counts: RunCounts) -> Report:
    return build_report(counts, judge_run(counts))


def write_object(report: Report) -> Any:
    """Return the report's run.json as another program reads it."""
    return json.loads(json.dumps(write_run_json(report)))

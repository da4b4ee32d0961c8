"""Time to analyse a large stored run: 12 cells of 833 attempts, 20 tests each.

    python benchmarks/statistics/analysis.py [--attempts 833] [--seed 20261123]

What `harness report` does after it has started: reading the SQLite store, an interval per cell, the
contrasts against the reference cell with Holm, attribution, the runs tests, the table.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from rich.console import Console
from where import header

from harness.analysis.build_report import report_run
from harness.core.capture_measurement import CaptureMeasurement
from harness.core.cell import Axis, cross
from harness.core.kinds import Kind, Phase
from harness.core.plan import Plan, PlannedAttempt, PlannedCell, plan_to_dict, schedule
from harness.core.records import AttemptIdentity, Lease, RunRecord
from harness.core.result import AttemptResult, Failure, Outcome, TestResult
from harness.core.statuses import AttemptStatus, RunStatus
from harness.report.terminal import print_report
from harness.store import schema
from harness.store.open import open_store
from harness.store.rows import make_rows

TESTS = 20
BATCH = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attempts", type=int, default=833)
    parser.add_argument("--seed", type=int, default=20261123)
    args = parser.parse_args()
    axes = [Axis("order", ("ascending", "descending", "shuffled")),
            Axis("backend", ("fa2", "fa3", "flex", "torch_native"))]  # fmt: skip
    cells = tuple(PlannedCell("suite.py", cell) for cell in cross(axes))
    plan = Plan(cells, args.attempts, args.seed, False, False)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.sqlite"
        fill(path, plan, random.Random(args.seed))
        began = time.perf_counter()
        contrasts = analyse(path)
        seconds = time.perf_counter() - began
    print(header())
    print(
        f"{len(cells)} cells x {args.attempts} attempts x {TESTS} tests, "
        f"{contrasts} contrasts: {seconds:.2f} s"
    )


def analyse(path: Path) -> int:
    store = open_store(str(path), write=False)
    run = store.run("latest")
    judged = report_run(run, store.attempts(run.id), store.test_counts(run.id))
    print_report(judged.report, Console(width=120))
    store.close()
    return len(judged.report.contrasts)


def fill(path: Path, plan: Plan, chance: random.Random) -> None:
    """Store a run whose attempts fail at a rate that grows from cell to cell."""
    store = open_store(str(path), write=True)
    store.add_run(
        RunRecord("r", 1.0, 7, "cuda", plan_to_dict(plan), {}, {}, RunStatus.COMPLETE, 2.0)
    )
    store.close()
    engine = sa.create_engine(f"sqlite:///{path}")
    rates = {p.cell.key: 0.02 + 0.015 * i for i, p in enumerate(plan.cells)}
    with engine.begin() as connection:
        for attempts, tests in rows_of(schedule(plan), rates, chance):
            connection.execute(schema.attempt.insert(), attempts)
            connection.execute(schema.test_result.insert(), tests)
    engine.dispose()


def rows_of(
    queue: list[PlannedAttempt], rates: dict[str, float], chance: random.Random
) -> Iterator[tuple[list[dict[str, object]], list[dict[str, object]]]]:
    for start in range(0, len(queue), BATCH):
        attempts, tests = [], []
        for planned in queue[start : start + BATCH]:
            result = result_of(chance.random() < rates[planned.cell.key])
            device = chance.randrange(8)
            zygote = f"z{device}.{planned.position // 400}"
            started = float(planned.position)
            lease = Lease((f"gpu:{device}",), "node", zygote, "spawn", started, 3.0, "f")
            identity = AttemptIdentity(
                *(f"r.{planned.position}", "r", planned.position, 0, planned.suite),
                *(planned.cell.key, planned.repeat, planned.seed),
            )
            rows = make_rows(identity, result, lease)
            attempts.append(rows.attempt)
            tests += rows.tests
        yield attempts, tests


def result_of(failed: bool) -> AttemptResult:
    """An attempt of TESTS tests, the first of which may fail, with a trace of 12 captures."""
    failure = Failure(Kind.WRONG_OUTPUT, Phase.RUN, "WrongOutput @ _judge", "differs", "t0")
    outcomes = [Outcome.FAILED if failed and i == 0 else Outcome.PASSED for i in range(TESTS)]
    tests = tuple(
        TestResult(f"suite.py::test_{i}", outcome, 0.1,
                   failure if outcome is Outcome.FAILED else None)
        for i, outcome in enumerate(outcomes)
    )  # fmt: skip
    trace = tuple(
        {
            "role": "verify",
            "bs": bs,
            "free_before": 1,
            "free_after": 1,
            "pool_bytes": bs,
            "seconds": 0.1,
            "addresses": {"input.tokens": 4096 * bs},
        }
        for bs in range(12)
    )
    capture = CaptureMeasurement(
        "cuda", "ascending", "ascending", 1 << 20, 1 << 20, 0.5, trace=trace
    )
    failures = (failure,) if failed else ()
    status = AttemptStatus.FAILED if failed else AttemptStatus.PASSED
    return AttemptResult(status, tests, failures, capture, 2.5, {}, 0, ())


if __name__ == "__main__":
    main()

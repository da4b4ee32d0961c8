"""The gate of known flakes: what it lets pass, and that it hides nothing."""

from dataclasses import replace
from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.known_flakes import FlakeGate, judge_known_flakes
from harness.analysis.run_counts import count_run
from harness.analysis.verdict import judge_run
from harness.core.cell import Cell
from harness.core.exits import ExitCode
from harness.core.known_flakes import KnownFlake, flake_from_dict, flake_to_dict
from harness.core.plan import Plan, PlannedCell, plan_from_dict, plan_to_dict, schedule
from harness.core.records import RunRecord, TestCount
from harness.core.statuses import RunStatus
from tests.report.runs import attempt

CELL = Cell((("tp", 1),))
KNOWN = KnownFlake("s.py::test_server", "@owner", date(2026, 12, 31), 0.2)
BEGUN = datetime(2026, 11, 25, tzinfo=UTC).timestamp()


def judge(
    failed: dict[str | None, int],
    known: tuple[KnownFlake, ...] | None = (KNOWN,),
    repeats: int = 20,
) -> tuple[FlakeGate | None, ExitCode]:
    """Judge a run of one cell: how many attempts failed in which test, None for outside of any."""
    plan = Plan(*((PlannedCell("s.py", CELL),), repeats, 7, False), in_ci=False, known_flakes=known)
    causes = [test for test, n in failed.items() for _ in range(n)]
    rows = [
        replace(attempt(one, "failed", "error"), failed_test=causes[n])
        if n < len(causes)
        else attempt(one, "passed", None)
        for n, one in enumerate(schedule(plan))
    ]
    names = {"s.py::test_server", *(test for test in failed if test)}
    tests = [
        TestCount("s.py", CELL.key, name, outcome, None, False, n)
        for name in sorted(names)
        for outcome, n in (
            ("failed", failed.get(name, 0)),
            ("passed", repeats - failed.get(name, 0)),
        )
        if n
    ]
    run = RunRecord("r", BEGUN, 7, "cpu", plan_to_dict(plan), {}, {}, RunStatus.COMPLETE, BEGUN)
    counts = count_run(run, rows, tests)
    return judge_known_flakes(counts), judge_run(counts).exit_code


def test_failures_of_a_listed_test_within_its_rate_hold_and_are_told() -> None:
    gate, code = judge({"s.py::test_server": 2})
    assert gate is not None and gate.holds and code is ExitCode.OK
    assert any("2/20 failed" in text and "@owner" in text for text in gate.sentences)


def test_without_the_gate_the_same_failures_fail() -> None:
    assert judge({"s.py::test_server": 2}, known=None) == (None, ExitCode.FAILURES)


def test_an_entry_covers_the_parameters_of_its_test() -> None:
    gate, _ = judge({"s.py::test_server[4]": 1})
    assert gate is not None and gate.holds


def test_a_test_that_is_not_listed_breaks_it() -> None:
    gate, code = judge({"s.py::test_server": 1, "s.py::test_server_start": 1})
    assert gate is not None and not gate.holds and code is ExitCode.FAILURES


def test_a_failure_outside_of_any_test_breaks_it() -> None:
    gate, code = judge({None: 1})
    assert gate is not None and not gate.holds and code is ExitCode.FAILURES


def test_a_rate_that_is_proven_to_be_higher_breaks_it() -> None:
    gate, code = judge({"s.py::test_server": 15})
    assert gate is not None and not gate.holds and code is ExitCode.FAILURES


def test_an_expired_entry_breaks_it_even_if_nothing_failed() -> None:
    expired = replace(KNOWN, expires=date(2026, 11, 24))
    gate, code = judge({}, known=(expired,))
    assert gate is not None and not gate.holds and code is ExitCode.FAILURES
    assert judge({}, known=(replace(KNOWN, expires=date(2026, 11, 25)),))[1] is ExitCode.OK


def test_an_expired_entry_of_a_test_that_is_not_here_says_nothing() -> None:
    other = replace(KNOWN, test="other.py::test_it", expires=date(2020, 1, 1))
    assert judge({}, known=(other,))[1] is ExitCode.OK


def test_the_entries_are_stored_with_the_plan() -> None:
    plan = Plan(*((), 1, 7, False), in_ci=False, known_flakes=(KNOWN,))
    assert plan_from_dict(plan_to_dict(plan)) == plan


@given(st.builds(KnownFlake, st.text(), st.text(), st.dates(), st.floats(0.01, 0.99)))
def test_an_entry_comes_back_as_it_was_stored(flake: KnownFlake) -> None:
    assert flake_from_dict(flake_to_dict(flake)) == flake

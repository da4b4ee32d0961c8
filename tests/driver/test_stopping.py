"""Looks at a run until decided: which attempts they use, and when they end it."""

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.contrast_pairs import ask_question, list_pairs
from harness.analysis.outcomes import collect_outcomes
from harness.core.cell import Cell, parse_cell_key
from harness.core.errors import UsageError
from harness.core.plan import Plan, PlannedCell, schedule
from harness.core.statuses import AttemptStatus
from harness.driver.options import RunOptions
from harness.driver.planning import make_plan
from harness.driver.stopping import Ended, Stopping
from harness.stats.contrasts import Finding
from harness.stats.judge import judge_question

ASCENDING, DESCENDING = (Cell((("order", o), ("tp", 1))) for o in ("ascending", "descending"))


def plan_of(repeats: int = 60, gate: float | None = None, until: bool = True) -> Plan:
    cells = (PlannedCell("s.py", ASCENDING), PlannedCell("s.py", DESCENDING))
    return Plan(cells, repeats, 7, False, False, until_decided=until, max_flake_rate=gate)


def ended(plan: Plan, fails: dict[Cell, bool]) -> list[Ended]:
    return [
        Ended(
            a.position,
            0,
            a.suite,
            a.cell.key,
            AttemptStatus.FAILED if fails[a.cell] else AttemptStatus.PASSED,
        )
        for a in schedule(plan)
    ]


def attempts_until_settled(plan: Plan, rows: list[Ended]) -> int | None:
    stopping = Stopping(plan, [])
    for count, row in enumerate(rows, 1):
        stopping.add(row)
        if stopping.is_settled():
            return count
    return None


def test_a_plain_difference_settles_long_before_the_cap() -> None:
    plan = plan_of()
    found = attempts_until_settled(plan, ended(plan, {ASCENDING: True, DESCENDING: False}))
    assert found is not None
    assert found <= 20


def test_a_fixed_number_never_stops_early() -> None:
    plan = plan_of(until=False)
    rows = ended(plan, {ASCENDING: True, DESCENDING: False})
    assert attempts_until_settled(plan, rows) is None


def test_clean_cells_stop_once_no_future_could_decide() -> None:
    plan = plan_of(40)
    found = attempts_until_settled(plan, ended(plan, {ASCENDING: False, DESCENDING: False}))
    assert found is not None
    assert 50 < found < 80


def test_a_gate_keeps_the_run_going_until_it_holds_or_breaks() -> None:
    plan = plan_of(100, gate=0.1)
    clean = attempts_until_settled(plan, ended(plan, {ASCENDING: False, DESCENDING: False}))
    assert clean is not None
    assert clean > 100  # about 57 clean ones in each cell
    broken = attempts_until_settled(plan, ended(plan, {ASCENDING: True, DESCENDING: True}))
    assert broken is not None


def test_leases_are_held_while_overdue_failures_would_settle_the_question() -> None:
    plan = plan_of(40)
    rows = [replace(row, seconds=3.0) for row in ended(plan, {ASCENDING: True, DESCENDING: False})]
    settled_after = attempts_until_settled(plan, rows)
    assert settled_after is not None
    stopping = Stopping(plan, [])
    late = [row for row in rows[:settled_after] if row.status is AttemptStatus.FAILED][-1]
    for row in rows[:settled_after]:
        if row is not late:
            stopping.add(row)
    assert not stopping.is_settled()
    running = replace(late, status=AttemptStatus.CENSORED)
    assert not stopping.holds_leases([replace(running, seconds=8.0)])
    assert stopping.holds_leases([replace(running, seconds=10.0)])
    assert not stopping.holds_leases([])
    stopping.add(replace(late, status=AttemptStatus.PASSED))
    assert not stopping.holds_leases([])


@pytest.mark.parametrize("until", [True, False])
def test_leases_are_not_held_for_a_fixed_number_or_before_any_pass(until: bool) -> None:
    plan = plan_of(40, until=until)
    first, second = ended(plan, {ASCENDING: True, DESCENDING: True})[:2]
    stopping = Stopping(plan, [] if until else [replace(first, status=AttemptStatus.PASSED)])
    assert not stopping.holds_leases([replace(second, seconds=500.0)])


@given(st.integers(0, 30), st.randoms())
def test_attempts_after_one_in_flight_decide_nothing(slow: int, order: random.Random) -> None:
    plan = plan_of(20)
    rows = ended(plan, {ASCENDING: True, DESCENDING: False})
    before = attempts_until_settled(plan, rows[:slow])
    late = rows[:slow] + rows[slow + 1 :]
    order.shuffle(late)
    assert (attempts_until_settled(plan, late) is None) == (before is None)


def test_a_resumed_run_knows_what_it_has() -> None:
    plan = plan_of()
    rows = ended(plan, {ASCENDING: True, DESCENDING: False})
    assert Stopping(plan, rows).is_settled()
    assert not Stopping(plan, rows[:4]).is_settled()


BACKENDS = [Cell((("backend", name), ("tp", 1))) for name in ("fa2", "fa3", "flex", "triton")]


def run_backends(rates: dict[str, float], cap: int = 60) -> tuple[Plan, list[Ended], bool]:
    """Lease four backends in turn; return what ended, and whether that was early."""
    cells = tuple(PlannedCell("s.py", cell) for cell in BACKENDS)
    plan = Plan(cells, cap, 7, False, False, until_decided=True)
    stopping, chance = Stopping(plan, []), random.Random(5)
    rows: list[Ended] = []
    for planned in schedule(plan):
        if stopping.is_settled():
            return plan, rows, True
        if stopping.is_needless(planned.suite, planned.cell.key):
            continue
        failed = chance.random() < rates.get(str(planned.cell.get("backend")), 0.0)
        status = AttemptStatus.FAILED if failed else AttemptStatus.PASSED
        rows.append(Ended(planned.position, 0, planned.suite, planned.cell.key, status))
        stopping.add(rows[-1])
    return plan, rows, False


def test_a_backend_that_was_named_gets_no_further_attempt_and_the_others_go_on() -> None:
    plan, rows, early = run_backends({"flex": 1.0, "triton": 0.4})
    assert early
    spent = Counter(parse_cell_key(row.cell).get("backend") for row in rows)
    assert spent["flex"] < 10 < spent["fa2"]
    outcomes = collect_outcomes(plan, rows)
    assert sum(cell.valid for cell in outcomes.values()) == len(rows)
    found = judge_question(ask_question(plan), outcomes).contrasts
    assert [one.arm for one in found if one.finding is Finding.DIFFERENT] == ["flex", "triton"]


def test_two_values_and_plans_of_earlier_versions_are_compared_in_pairs() -> None:
    plan = Plan(tuple(PlannedCell("s.py", c) for c in BACKENDS), 9, 7, False, False, True)
    assert all(pair.rest for pair in list_pairs(plan))
    assert len(list_pairs(plan)) == 4
    old = replace(plan, rule=replace(plan.rule, version=2))
    assert [(pair.rest, pair.reference) for pair in list_pairs(old)] == [((), "fa2")] * 3
    assert not any(pair.rest for pair in list_pairs(replace(plan, until_decided=False)))
    assert not any(pair.rest for pair in list_pairs(replace(plan, cells=plan.cells[:2])))


def options(**given: Any) -> RunOptions:
    chosen = {"order": ("ascending", "descending"), "tp": ("1",), **given}
    return RunOptions(suites=("tests/outcomes/passes.py",), **chosen)


def test_a_cap_that_no_outcome_can_decide_is_refused_with_the_least_that_can() -> None:
    with pytest.raises(UsageError, match=r"--repeats 2: no outcome .* give --repeats 3"):
        make_plan(options(until="decided", repeats=2), "cpu", 2, 1, in_ci=False)
    assert make_plan(options(until="decided", repeats=3), "cpu", 2, 1, in_ci=False).until_decided


def test_until_decided_with_nothing_to_decide_is_refused() -> None:
    one = ("ascending",)
    with pytest.raises(UsageError, match="nothing to decide: give --max-flake-rate, or an axis"):
        make_plan(options(until="decided", order=one), "cpu", 2, 1, in_ci=False)
    gated = options(until="decided", order=one, max_flake_rate=0.1)
    assert make_plan(gated, "cpu", 2, 1, in_ci=False).max_flake_rate == 0.1


@pytest.mark.parametrize(
    ("given_options", "message"),
    [
        ({"until": "bored"}, "--until"),
        ({"max_flake_rate": 0.0}, "above 0 and below 1"),
        ({"max_flake_rate": float("nan")}, "above 0 and below 1"),
        ({"base_rate": 1.5}, "give one from 0 to 1"),
        ({"base_rate": 0.1, "target_rate": 0.1}, "cannot be told apart"),
        ({"until": "decided", "fixed_seed": True}, "remove one of them"),
        ({"max_flake_rate": 0.1, "fixed_seed": True}, "remove one of them"),
        ({"until": "decided", "replace_infra": 1}, "remove one of them"),
    ],
)
def test_contradictory_questions_are_refused(
    given_options: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        options(**given_options)

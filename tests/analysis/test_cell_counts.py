"""Intervals of a test in a run that was cut short hold the truth, however it was cut."""

import heapq
from dataclasses import replace
from functools import cache

import numpy as np

from harness.analysis.cell_counts import count_tests, count_unended
from harness.core.cell import Cell
from harness.core.records import AttemptRow, TestCount
from harness.core.statuses import AttemptStatus
from harness.stats.intervals import Interval, compute_confidence_sequence
from tests.driver.test_compare import row

CELL = Cell((("order", "ascending"),))
RATE, ATTEMPTS, GANGS = 0.2, 40, 8


def make_row(repeat: int, failed: bool) -> AttemptRow:
    return replace(row(repeat, CELL, failed=failed), repeat=repeat)


ROWS = {failed: [make_row(i, failed) for i in range(ATTEMPTS)] for failed in (True, False)}


@cache
def bound(failed: float, valid: float, level: float) -> Interval:
    return compute_confidence_sequence(failed, valid, level)


def test_attempts_in_flight_are_those_before_the_last_that_ended() -> None:
    rows = [make_row(i, False) for i in (0, 1, 4, 6)]
    assert count_unended(rows) == 3
    censored = replace(rows[2], repeat=5, status=AttemptStatus.CENSORED)
    assert count_unended([*rows, censored]) == 3
    assert count_unended([censored]) == count_unended([]) == 0
    assert count_unended([*rows, replace(rows[0], repeat=2, replaces=9)]) == 3


def test_a_test_may_have_failed_or_passed_in_them() -> None:
    (found,) = count_tests([TestCount("s.py", CELL.key, "t", "failed", None, False, 3, 0),
                            TestCount("s.py", CELL.key, "t", "passed", None, False, 7, 0)],
                           bound, 2)  # fmt: skip
    assert found.interval is not None
    assert found.interval.low == bound(3, 12, 0.95).low
    assert found.interval.high == bound(5, 12, 0.95).high


def test_a_run_interrupted_at_its_worst_look_seldom_misses_a_tests_rate() -> None:
    """Failures hang 20 times as long as passes, so that what has ended passed too often."""
    rng = np.random.default_rng(3)
    runs = [watch(rng) for _ in range(100)]
    missed, without = (sum(one[i] for one in runs) / len(runs) for i in (0, 1))
    assert missed <= 0.05
    assert without >= 0.2


def watch(rng: np.random.Generator) -> tuple[bool, bool]:
    """Return whether some look missed the rate, and whether one of ended attempts alone did."""
    free, ends = [0.0] * GANGS, []
    fails = rng.random(ATTEMPTS) < RATE
    for attempt, failed in enumerate(fails):
        now = heapq.heappop(free)
        ends.append((now + (60.0 if failed else 3.0), attempt))
        heapq.heappush(free, ends[-1][0])
    ended: list[AttemptRow] = []
    missed = without = False
    for _, attempt in sorted(ends):
        ended.append(ROWS[bool(fails[attempt])][attempt])
        k, n, unknown = sum(fails[r.repeat] for r in ended), len(ended), count_unended(ended)
        low, high = bound(k, n + unknown, 0.95).low, bound(k + unknown, n + unknown, 0.95).high
        missed |= not low <= RATE <= high
        plain = bound(k, n, 0.95)
        without |= not plain.low <= RATE <= plain.high
    return missed, without

"""How many attempts an arm gets, and what is compared with what."""

from pathlib import Path

import pytest

from harness.core.cell import read_cell_dict
from harness.core.plan import Plan
from harness.core.statuses import AttemptStatus
from harness.diagnosis.findings import Finding
from harness.driver.examining import LEAST, MOST, Bench, find_raising, mirror, shorten_timeout
from harness.driver.options import RunOptions
from harness.driver.queue import QueuedAttempt, list_planned
from harness.driver.stopping import Ended
from harness.driver.trials import FailingCell, Trial, plan_trials

ROOT = Path(__file__).parents[2]
SUITE = "suites/faults/test_b3_workspace_not_monotone.py"


class Workbench:
    """A bench over the arms of a failing cell, with outcomes by a rule instead of attempts."""

    def __init__(self, kind: str = "wrong-output", **axes: str | int) -> None:
        cell = read_cell_dict({"order": "descending", "backend": "torch_native", "tp": 1, **axes})
        self.trials = plan_trials(FailingCell(SUITE, cell, kind, RunOptions(), "cpu"))
        made = [one for one in self.trials if one.planned]
        cells = tuple(one.planned for one in made if one.planned)
        self.bench = Bench(made[0], made[1:], 0, len(made) - 1, kind)
        self.queue = list_planned(Plan(cells, MOST, 1, False, False))
        self.counts: dict[str, int] = {}

    def work_off(self, failing: set[str], *, amplifiers: bool) -> None:
        """Let the arms that are named fail always, and the others never."""
        self.bench.turn_to(amplifiers=amplifiers)
        for queued in self.bench.choose(self.queue):
            if not self.bench.is_enough(queued.planned.cell.key):
                self.bench.add(self.end(queued, failing))

    def end(self, queued: QueuedAttempt, failing: set[str]) -> Ended:
        planned = queued.planned
        name = next(one.name for one in self.trials if one.key == planned.cell.key)
        self.counts[name] = self.counts.get(name, 0) + 1
        status = AttemptStatus.FAILED if name in failing else AttemptStatus.PASSED
        return Ended(planned.position, 0, planned.suite, planned.cell.key, status)


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_arms_stop_once_they_are_judged_and_the_unchanged_cell_with_the_last() -> None:
    made = Workbench()
    arms = {one.name for one in made.bench.arms}
    passing = {"eager", "order", "two-phase"}
    made.work_off(arms - passing | {"unchanged"}, amplifiers=False)
    found = {one.name: one.finding for one in made.bench.arms if not one.may_rise}
    assert {name for name, one in found.items() if one is Finding.PASSES} == passing
    assert {made.counts[name] for name in passing} == {made.counts["unchanged"]} == {6}
    assert made.counts["pools"] == LEAST


def test_a_failure_that_hangs_is_made_once_in_each_arm() -> None:
    made = Workbench("hang")
    made.work_off({one.name for one in made.trials}, amplifiers=False)
    assert made.counts["pools"] == 1


def test_a_cell_that_never_fails_again_is_given_up() -> None:
    made = Workbench()
    made.work_off(set(), amplifiers=False)
    assert made.counts["unchanged"] < MOST


def test_an_amplifier_that_raises_the_rate_is_found_and_its_attempts_are_not_made_twice() -> None:
    made = Workbench()
    made.work_off({"poison"}, amplifiers=True)
    raised = find_raising(made.bench.arms)
    assert raised is not None
    assert raised.name == "poison"
    again = made.bench.choose(made.queue)
    assert {one.planned.position for one in again}.isdisjoint(made.bench._made)


def test_an_arm_that_takes_an_amplifier_away_tells_what_the_amplifier_does() -> None:
    made = Workbench(amplify="poison")
    (arm,) = (one for one in made.bench.arms if one.name == "poison")
    assert arm.undoes
    assert mirror(arm, Finding.LESS) is Finding.RISES
    assert [one.name for one in made.trials if "amplified already" in one.why_not] == ["canary"]


def test_a_lagging_attempt_holds_the_others_back() -> None:
    made = Workbench()
    made.bench.turn_to(amplifiers=False)
    queue = made.bench.choose(made.queue)
    slow, *rest = queue
    for queued in rest[: 6 * len(made.bench.arms)]:
        made.bench.add(made.end(queued, set()))
    assert made.bench.must_wait([made.end(slow, set())])
    assert not made.bench.must_wait([])


def test_attempts_made_for_amplifiers_hold_no_other_arm_back() -> None:
    made = Workbench()
    made.work_off({"unchanged", "poison", "canary"}, amplifiers=True)
    made.bench.turn_to(amplifiers=False)
    first, second, *_ = (one for one in made.bench.choose(made.queue) if one.planned.repeat == 0)
    assert not made.bench.must_wait([made.end(first, set()), made.end(second, set())])


def test_a_time_limit_is_shortened_only_for_what_waits_for_it() -> None:
    assert shorten_timeout(60.0, [], "hang") == 60.0
    trial = Trial("x", "", None)
    assert trial.key == ""

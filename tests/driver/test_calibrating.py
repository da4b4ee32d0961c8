"""What a calibration tries of each fault, and that one that ends badly does not end the others."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import UsageError
from harness.diagnosis.scoreboard import Score, Scoreboard
from harness.diagnosis.truth import Truth
from harness.driver.calibrating import Calibration, list_stages, make_options, score_fault
from harness.driver.commands import calibrate as command
from harness.driver.commands.calibrate import calibrate, find_truths, group_by_slots
from harness.driver.experiments import Laboratory

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def read_fault(name: str) -> Truth:
    (truth,) = find_truths((name,))
    return truth


def test_quick_makes_the_failing_cell_alone_and_the_whole_one_all_cells() -> None:
    quick = make_options(read_fault("B3"), Calibration(quick=True), 16)
    assert (quick.order, quick.env) == (("descending",), ("FAULT_LOAD=long",))
    whole = make_options(read_fault("B3"), Calibration(quick=False), 6)
    assert (whole.order, whole.env) == (("descending", "ascending"), ("FAULT_LOAD=long,short",))


def test_ranks_are_those_asked_for_unless_the_fault_varies_them() -> None:
    wanted = Calibration(quick=False, tp=2)
    assert make_options(read_fault("C4"), wanted, 6).tp == ("2",)
    assert make_options(read_fault("F3"), wanted, 6).tp == ("2", "1")


def test_a_fault_that_hangs_gets_fewer_attempts_since_each_costs_its_time_limit() -> None:
    wanted = Calibration(quick=False)
    assert max(list_stages(read_fault("F3"), wanted)) < max(list_stages(read_fault("C4"), wanted))


def test_an_unknown_fault_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"A1, .*G6, clean"):
        find_truths(("A1", "Z9"))
    assert [one.fault for one in find_truths(("A1", "clean"))] == ["A1"]


def test_a_fault_of_one_slot_gets_a_narrow_pool_after_the_wide_one() -> None:
    truths = find_truths(())
    wide, narrow = group_by_slots(truths, Calibration(quick=True, slots=20))
    assert (wide[0], len(wide[1])) == (20, len(truths) - 1)
    assert (narrow[0], [one.fault for one in narrow[1]]) == (2, ["G2"])
    assert len(list(group_by_slots(truths, Calibration(quick=True, slots=2)))) == 1


class _Pool:
    """A pool whose machine has so many devices."""

    members: tuple[Any, ...] = ()

    def __init__(self, count: int) -> None:
        self._count = count

    def largest_gang(self) -> int:
        return self._count


class _Broken(Laboratory):
    """A laboratory whose runs end badly."""

    def run(self, *_: Any, **__: Any) -> Any:
        raise UsageError("the store is full")


def make_broken(devices: int) -> Laboratory:
    pool: Any = _Pool(devices)
    session: Any = None
    return _Broken(pool, session, None)


def test_a_fault_that_ends_badly_says_so_in_its_score() -> None:
    score = score_fault(read_fault("C4"), make_broken(2), Calibration(quick=True))
    assert "the store is full" in score.error
    assert not score.is_detected


def test_a_fault_that_needs_more_devices_is_not_shown_and_not_counted() -> None:
    score = score_fault(read_fault("F3"), make_broken(1), Calibration(quick=True))
    assert "needs 2 devices" in score.not_shown
    assert Scoreboard((score,), 0, 20, 20).shown == ()


def test_the_scoreboard_is_written_after_each_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "board.json", []

    def score(truth: Truth, *_: object) -> Score:
        if path.exists():
            seen.append(len(json.loads(path.read_text())["faults"]))
        return Score(truth, {truth.kind: 1}, 1, 1)

    @contextmanager
    def open_broken(*_: object) -> Iterator[Laboratory]:
        yield make_broken(2)

    monkeypatch.setattr(command, "score_fault", score)
    monkeypatch.setattr(command, "open_laboratory", open_broken)
    wanted = Calibration(quick=True, only=("A1", "B1", "B3"), json=path, slots=2)
    assert calibrate(wanted, None) == 0
    assert seen == [1, 2]
    board = json.loads(path.read_text())
    assert board["totals"]["kind right"] == "3/3"
    assert {"began", "processor", "cores", "seconds"} <= set(board)


def test_a_factor_is_right_only_if_no_unrelated_axis_is_named_beside_it() -> None:
    truth = read_fault("B3")
    score = Score(truth, {"wrong-output": 1}, 1, 1, factors=("order", "zygote"))
    assert score.is_factor_right
    assert replace(score, factors=("order", "env:FAULT_LOAD")).is_factor_right is False
    also = replace(score, truth=read_fault("A1"), factors=("page_size", "order"))
    assert also.is_factor_right

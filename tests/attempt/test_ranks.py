"""Attempts of several ranks: they start together, and none outlives the others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.attempt.spec import AttemptRecord, Isolation
from harness.core.events import read_exception

Run = Callable[..., AttemptRecord]
WAITS = "peers.py::test_waits_for_a_word"
SLEEPS = "peers.py::test_sleeps_through_its_peers_death"


def ends(record: AttemptRecord) -> dict[int, Any]:
    return {end.rank: end.signal or end.code for end in record.exits}


def no_rank_is_left(record: AttemptRecord) -> bool:
    pids = [event["pid"] for _, event in record.events if event["event"] == "hello"]
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_follower_talks_to_rank_0_and_leaves_at_its_end(run: Run, isolation: Isolation) -> None:
    record = run(WAITS, isolation=isolation, tp=2, follower="followers:greets")
    assert ends(record) == {0: 0, 1: 0}
    assert record.first_death is None and not record.killed and record.error is None
    hellos = [rank for rank, event in record.events if event["event"] == "hello"]
    assert sorted(hellos) == [0, 1] and sorted(record.log_tails) == [0, 1]


@pytest.mark.parametrize(
    ("follower", "end"), [("followers:raises", 1), ("followers:dies_by_signal", "SIGSEGV")]
)
def test_a_followers_death_ends_all_quickly_and_is_named(
    run: Run, isolation: Isolation, follower: str, end: object
) -> None:
    record = run(SLEEPS, isolation=isolation, tp=2, follower=follower)
    assert record.first_death == 1 and ends(record) == {1: end, 0: "SIGKILL"}
    assert record.killed == [0] and not record.timed_out
    assert record.wall_seconds < 5.0 and no_rank_is_left(record)


def test_the_first_of_three_to_die_takes_the_blame(run: Run) -> None:
    record = run(SLEEPS, tp=3, follower="followers:dies_by_signal")
    assert record.first_death == 1 and record.exits[0].rank == 1
    assert sorted(record.killed) == [0, 2] and no_rank_is_left(record)


def test_rank_0s_death_takes_its_followers_along(run: Run, isolation: Isolation) -> None:
    record = run(
        "dies.py::test_segfaults", isolation=isolation, tp=2, follower="followers:greets_and_stays"
    )
    assert record.first_death == 0 and record.killed == [1]
    assert ends(record) == {0: "SIGSEGV", 1: "SIGKILL"} and no_rank_is_left(record)


def test_a_follower_that_stays_after_the_finish_is_killed_after_the_grace(run: Run) -> None:
    record = run(WAITS, tp=2, follower="followers:greets_and_stays", grace_s=0.5)
    assert record.killed == [1] and record.first_death is None
    assert ends(record) == {0: 0, 1: "SIGKILL"}


def test_a_followers_exception_is_an_event_and_in_its_log(run: Run) -> None:
    record = run(SLEEPS, tp=2, follower="followers:raises")
    errors = [
        (rank, read_exception(event))
        for rank, event in record.events
        if event["event"] == "follower_error"
    ]
    ((rank, error),) = errors
    assert rank == 1
    assert error and (error.types[0], error.message) == ("RuntimeError", "rank out of order")
    assert "rank out of order" in record.log_tails[1]


def test_each_rank_sees_its_own_device(run: Run) -> None:
    record = run(
        "passes.py", tp=2, follower="followers:tells_its_device", visible_devices=("GPU-a", "GPU-b")
    )
    assert "CUDA_VISIBLE_DEVICES=GPU-b" in record.log_tails[1]
    assert "CUDA_VISIBLE_DEVICES=GPU-a" in record.log_tails[0]

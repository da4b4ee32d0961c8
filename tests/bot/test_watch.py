"""The watching job: what the comment says while a measurement waits, and that it lets go."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from harness.bot.jobs.watch import POLL_S, WatchedGrant, read_grant, watch_measurement
from harness.core.errors import UsageError
from tests.bot.github_samples import stamp
from tests.bot.results import leave
from tests.bot.test_parse import active
from tests.bot.workplace import RUN, Workplace

GRANT = WatchedGrant(gpus=0, minutes=60)


@pytest.fixture
def queued(place: Workplace) -> Workplace:
    """A command that was granted and waits for its runner."""
    place.says("/rerun-test test_a.py --repeats 50")
    assert place.parse()["action"] == "measure"
    job = {"name": "measure (0 GPUs, at most 60 min)", "status": "queued", "conclusion": None}
    url = "https://github.example/job/1"
    job |= {"started_at": stamp(place.now), "completed_at": None, "html_url": url}
    place.github.jobs[RUN] = [job]
    return place


def start(place: Workplace) -> None:
    place.github.jobs[RUN][0]["status"] = "in_progress"


def watch(place: Workplace, *events: Callable[[], Any]) -> list[float]:
    """Run the job; the n-th event happens in its n-th sleep. Return how long it slept."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        if len(slept) < len(events):
            events[len(slept)]()
        slept.append(seconds)

    assert watch_measurement(place.job, GRANT, sleep) == 0
    return slept


def test_a_measurement_that_runs_is_said_to_without_being_asked(queued: Workplace) -> None:
    assert watch(queued, lambda: start(queued)) == [POLL_S]
    ends = queued.now + timedelta(minutes=60)
    assert f"### /rerun-test: running since {queued.now:%H:%M} UTC" in queued.answer()
    assert f"ends by {ends:%H:%M} UTC" in queued.answer()


def test_the_place_in_the_queue_is_said(queued: Workplace) -> None:
    active(queued, 800, "other")
    active(queued, 801, "maintainer", started=False)
    active(queued, 802, "other")
    queued.github.jobs[802][0]["name"] = "measure (2 GPUs, at most 60 min)"
    states: list[str] = []

    def note() -> None:
        states.append(queued.github.by_bot(7)[0])
        start(queued)

    watch(queued, note)
    assert "### /rerun-test: queued, 2 before it on runners of its kind" in states[0]


def test_nothing_is_written_over_a_result(queued: Workplace) -> None:
    leave(queued)
    queued.publish()
    before = queued.answer()
    start(queued)
    watch(queued)
    assert queued.answer() == before


def test_a_measurement_that_ended_is_let_go(queued: Workplace) -> None:
    queued.github.jobs[RUN][0] |= {"status": "completed", "conclusion": "cancelled"}
    queued.github.jobs[RUN][0] |= {"started_at": None}
    assert watch(queued) == []
    assert "### /rerun-test: queued" in queued.answer()


@pytest.mark.parametrize("what", [403, 500, "drop", "garbage"])
def test_a_poll_that_fails_is_left_out(queued: Workplace, what: int | str) -> None:
    queued.github.fail("GET", r"/jobs$", what, times=3)
    start(queued)
    watch(queued)
    assert "### /rerun-test: running" in queued.answer()


def test_watching_ends_after_two_hours(queued: Workplace) -> None:
    assert sum(watch(queued)) == 7200
    assert len(queued.github.calls) < 700


@pytest.mark.parametrize("given", [{}, {"GPUS": "two", "MINUTES": "60"}, {"GPUS": "2"}])
def test_a_grant_that_is_not_handed_on_is_an_error(given: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        read_grant(given)
    assert read_grant({"GPUS": "0", "MINUTES": "60"}) == GRANT

"""What the acknowledgement says a measurement will take, from earlier results of this workflow."""

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.bot.github_samples import workflow_run
from tests.bot.results import result, zipped
from tests.bot.workplace import PULL, Workplace

EARLIER = 850
UNKNOWN = "Expected time: unknown"


def keep(place: Workplace, run: dict[str, Any], number: int = EARLIER) -> None:
    """An earlier workflow run measured, and its result is still there."""
    title = f"rerun-test #{PULL} by maintainer (comment {number})"
    place.github.runs.append(workflow_run(number, title, "failure", ago=timedelta(days=2)))
    run["run"]["ci"]["run_id"] = str(number)
    made = place.github.new_id()
    place.github.archives[made] = zipped(run__json=json.dumps(run).encode())
    size = len(place.github.archives[made])
    artifact = {"id": made, "name": "run-json", "size_in_bytes": size, "expired": False}
    place.github.artifacts[number] = [artifact]


def measured(seconds: float = 600.0) -> dict[str, Any]:
    """Two cells x 50 attempts of 2 s, in so many seconds."""
    run = result()
    run["run"]["ended"] = run["run"]["created"] + seconds
    return run


def acknowledge(place: Workplace, options: str = "--repeats 50") -> str:
    place.says(f"/rerun-test test_a.py {options}")
    assert place.parse()["action"] == "measure"
    return place.answer()


def test_cells_attempts_time_and_device_hours_are_those_of_the_last_measurement(
    place: Workplace,
) -> None:
    keep(place, measured())
    answer = acknowledge(place, "--repeats 100")
    assert "2 cells x 100 repeats = 200 attempts, about 20 minutes, 0.11 device-hours." in answer
    assert f"https://github.example/acme/engine/actions/runs/{EARLIER})" in answer
    assert "cut short" not in answer


def test_what_takes_longer_than_it_may_is_said_before_it_runs(place: Workplace) -> None:
    keep(place, measured(seconds=7200))
    assert "about 120 minutes" in (answer := acknowledge(place))
    assert "longer than its 60 minutes: it would be cut short" in answer


def test_only_the_cells_that_are_asked_for_count_and_both_commits_do(place: Workplace) -> None:
    keep(place, measured())
    answer = acknowledge(place, "--repeats 50 --order ascending --against base --until decided")
    assert "2 cells x at most 50 repeats = 100 attempts, about 10 minutes" in answer


def test_axes_that_the_suites_never_read_are_named(place: Workplace) -> None:
    run = measured()
    run["cells"][0]["notes"] = ["never read by the suite: axis order, backend (50 attempts)"]
    keep(place, run)
    assert "never read `backend`, `order`: varying it does nothing" in acknowledge(place)


@pytest.mark.parametrize("case", ["nothing kept", "another suite", "no such value", "hostile"])
def test_without_a_result_like_it_the_time_is_unknown(place: Workplace, case: str) -> None:
    run = measured()
    if case == "another suite":
        run["cells"][0]["suite"] = "suites/test_b.py"
    if case == "hostile":
        run["cells"][0]["axes"] = [["<script>"]]
    if case != "nothing kept":
        keep(place, run)
    options = "--backend fa3" if case == "no such value" else ""
    assert UNKNOWN in acknowledge(place, options)

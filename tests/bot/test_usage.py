"""What was asked and used before, read from the names and times of workflow runs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from harness.bot.github.history import parse_run_name, read_measurement
from harness.bot.github.shapes import WorkflowJob, WorkflowRun
from harness.bot.policy.usage import PastCommand, sum_usage

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SHA = "a" * 40


def run(title: str = "rerun-test #7 by eve (comment 5)", status: str = "completed") -> WorkflowRun:
    return WorkflowRun(id=3, display_title=title, status=status, conclusion=None, created_at=NOW)


def job(name: str = "measure (2 GPUs, at most 60 min)", **changed: Any) -> WorkflowJob:
    given = {
        "name": name,
        "status": "completed",
        "conclusion": "success",
        "started_at": NOW,
        "completed_at": NOW + timedelta(minutes=10),
    }
    return WorkflowJob.model_validate(given | changed)


def test_a_runs_name_says_who_asked_what() -> None:
    assert parse_run_name(run(status="in_progress")) == PastCommand(3, 7, "eve", 5, True, NOW)


@pytest.mark.parametrize(
    "title", ["", "rerun-test", "rerun-test #7 by eve (comment 5) ", "x rerun-test #7 by eve"]
)
def test_a_run_of_another_name_is_no_command(title: str) -> None:
    assert parse_run_name(run(title)) is None


@pytest.mark.parametrize(
    ("jobs", "active", "minutes"),
    [
        ([job()], False, 20.0),
        ([job(), job()], False, 40.0),
        ([job("measure (0 GPUs, at most 60 min)")], False, 10.0),
        ([job(status="in_progress", conclusion=None, completed_at=None)], True, 120.0),
        ([job(status="queued", conclusion=None, started_at=None, completed_at=None)], True, 120.0),
        ([job(conclusion="cancelled", started_at=None)], False, 0.0),
        ([job(conclusion="skipped")], False, 0.0),
        ([job("parse")], False, 0.0),
        ([job("parse")], True, 99.0),
        ([], True, 99.0),
        ([job("parse", conclusion="cancelled")], True, 0.0),
        ([job("parse"), job("measure (${{ x }})", conclusion="skipped")], True, 0.0),
    ],
)
def test_usage_is_what_jobs_took_and_all_that_active_ones_may_take(
    jobs: list[WorkflowJob], active: bool, minutes: float
) -> None:
    past = parse_run_name(run(status="in_progress" if active else "completed"))
    assert past is not None
    assert read_measurement(past, jobs, 99.0).gpu_minutes == minutes


def test_runs_about_to_be_cancelled_are_not_active() -> None:
    past = parse_run_name(run(status="in_progress"))
    assert past is not None
    measured = [read_measurement(past, [], 60.0)]
    assert sum_usage(measured, []).active == 1
    assert sum_usage(measured, [3]).active == 0


def test_a_run_that_publishes_or_was_refused_is_not_active() -> None:
    past = parse_run_name(run(status="in_progress"))
    assert past is not None
    refused = [job("parse"), job("measure", conclusion="skipped")]
    measured = [read_measurement(past, jobs, 60.0) for jobs in ([job()], refused)]
    assert sum_usage(measured, []).active == 0

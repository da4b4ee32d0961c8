"""What was asked before, read back from GitHub's list of workflow runs: there is no database.

A run's name says which comment started it, its job's name what was granted; GitHub keeps both and
nobody can change them. Pure.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from harness.bot.shapes import Job, Run

WINDOW = timedelta(hours=24)

#: As rerun-test.yml has them: `run-name` and the measuring job's `name`.
_RUN_NAME = re.compile(r"rerun-test #(\d{1,12}) by ([A-Za-z0-9_-]{1,64}) \(comment (\d{1,20})\)")
_JOB_NAME = re.compile(r"measure \((\d{1,3}) GPUs, at most (\d{1,4}) min\)")


@dataclass(frozen=True, slots=True)
class Asked:
    """A command that was answered by a workflow run."""

    run: int
    pull: int
    login: str
    comment: int
    is_active: bool
    created: datetime


@dataclass(frozen=True, slots=True)
class Measured:
    """What a workflow run used, or holds reserved while it is active."""

    asked: Asked
    gpu_minutes: float
    started: datetime | None
    """When its measurement started; None where it has not, or never did."""
    job_url: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What one user, or one pull request, has used in the window."""

    gpu_minutes: float
    active: int
    last_started: datetime | None


def asked_of(run: Run) -> Asked | None:
    """The command behind a workflow run; None where its name is not of the bot's form."""
    found = _RUN_NAME.fullmatch(run.display_title)
    if not found:
        return None
    number, login, comment = found.groups()
    active = run.status != "completed"
    return Asked(run.id, int(number), login, int(comment), active, run.created_at)


def measured_of(asked: Asked, jobs: Iterable[Job], reserve: float) -> Measured:
    """What a run used, from its jobs.

    reserve: GPU-minutes to count for an active run whose measurement is not granted yet.
    """
    granted = [
        (job, found)
        for job in jobs
        if job.conclusion != "skipped" and (found := _JOB_NAME.fullmatch(job.name))
    ]
    if not granted:
        return Measured(asked, reserve if asked.is_active else 0.0, None)
    used = sum(_gpu_minutes(job, int(found[1]), int(found[2])) for job, found in granted)
    starts = [job.started_at for job, _ in granted if job.started_at and job.status != "queued"]
    return Measured(asked, used, max(starts, default=None), granted[-1][0].html_url)


def _gpu_minutes(job: Job, gpus: int, at_most: int) -> float:
    """A job that ended: what it took. One that waits or runs: all that it may take."""
    if job.status != "completed":
        return max(gpus, 1) * at_most
    if job.started_at is None or job.completed_at is None:
        return 0.0
    return max(gpus, 1) * max((job.completed_at - job.started_at).total_seconds(), 0.0) / 60


def usage_of(measured: Sequence[Measured], ending: Collection[int]) -> Usage:
    """The sum of what was used. `ending`: runs that are about to be cancelled, active no more."""
    return Usage(
        gpu_minutes=sum(one.gpu_minutes for one in measured),
        active=sum(one.asked.is_active and one.asked.run not in ending for one in measured),
        last_started=max((one.started for one in measured if one.started), default=None),
    )

"""What was asked before, read back from GitHub's list of workflow runs: there is no database.

A run's name says which comment started it, and its job's name what was granted. GitHub keeps both,
and nobody can change them.
"""

import re
from collections.abc import Sequence

from harness.bot.github.shapes import WorkflowJob, WorkflowRun
from harness.bot.policy.usage import PastCommand, PastMeasurement

#: As rerun-test.yml has them: `run-name` and the measuring job's `name`.
_RUN_NAME = re.compile(r"rerun-test #(\d{1,12}) by ([A-Za-z0-9_-]{1,64}) \(comment (\d{1,20})\)")
_STARTED = ("in_progress", "completed")
_JOB_NAME = re.compile(r"measure \((\d{1,3}) GPUs, at most (\d{1,4}) min\)")


def parse_run_name(run: WorkflowRun) -> PastCommand | None:
    """Return the command behind a workflow run, None if its name is not of the bot's form."""
    found = _RUN_NAME.fullmatch(run.display_title)
    if not found:
        return None
    number, login, comment = found.groups()
    active = run.status != "completed"
    return PastCommand(run.id, int(number), login, int(comment), active, run.created_at)


def read_measurement(
    command: PastCommand, jobs: Sequence[WorkflowJob], reserve: float
) -> PastMeasurement:
    """Return what a workflow run used, from its jobs.

    reserve: GPU-minutes to count for an active run that may still be granted.
    """
    granted = [
        (job, found)
        for job in jobs
        if job.conclusion != "skipped" and (found := _JOB_NAME.fullmatch(job.name))
    ]
    if not granted:
        may_be_granted = command.is_active and not any(map(_ends_ungranted, jobs))
        return PastMeasurement(command, may_be_granted, reserve if may_be_granted else 0.0, None)
    used = sum(_count_gpu_minutes(job, int(found[1]), int(found[2])) for job, found in granted)
    starts = [job.started_at for job, _ in granted if job.started_at and job.status in _STARTED]
    is_active = any(job.status != "completed" for job, _ in granted)
    job, name = granted[-1]
    started = max(starts, default=None)
    return PastMeasurement(command, is_active, used, started, job.html_url, int(name[1]))


def _ends_ungranted(job: WorkflowJob) -> bool:
    """Whether this job of a run shows that nothing was granted: refused, or parsing failed."""
    if job.name == "parse":
        return job.status == "completed" and job.conclusion != "success"
    return job.name.startswith("measure") and job.conclusion == "skipped"


def _count_gpu_minutes(job: WorkflowJob, gpus: int, at_most: int) -> float:
    """Return what an ended job took, or all that a waiting or running one may take."""
    if job.status != "completed":
        return max(gpus, 1) * at_most
    if job.started_at is None or job.completed_at is None:
        return 0.0
    return max(gpus, 1) * max((job.completed_at - job.started_at).total_seconds(), 0.0) / 60

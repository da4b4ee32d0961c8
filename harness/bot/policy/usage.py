"""What was asked and used before, as values. Pure; `github.history` reads them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

WINDOW = timedelta(hours=24)
"""How far back usage counts."""


@dataclass(frozen=True, slots=True)
class PastCommand:
    """A command that was answered by a workflow run."""

    workflow_run: int
    pull_request: int
    login: str
    comment: int
    is_active: bool
    created: datetime


@dataclass(frozen=True, slots=True)
class PastMeasurement:
    """What a workflow run used, or holds reserved while it is active."""

    command: PastCommand
    is_active: bool
    """Whether it waits or runs, or may still be granted. One that was refused is not."""
    gpu_minutes: float
    started: datetime | None
    """When its measurement started; None if it has not, or never did."""
    job_url: str | None = None
    gpus: int | None = None
    """Of its runner; None if nothing was granted."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one user, or one pull request, has used in the window."""

    gpu_minutes: float
    active: int
    last_started: datetime | None


def sum_usage(measured: Sequence[PastMeasurement], ending: Collection[int]) -> Usage:
    """Return the sum of what was used.

    ending: workflow runs that are about to be cancelled, which no longer count as active.
    """
    active = [one.command for one in measured if one.is_active]
    return Usage(
        gpu_minutes=sum(one.gpu_minutes for one in measured),
        active=sum(command.workflow_run not in ending for command in active),
        last_started=max((one.started for one in measured if one.started), default=None),
    )

"""What is kept of a run, as values: the run, its attempts, and counts of its tests. Pure."""

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from harness.core.audit import AuditFinding
from harness.core.capture_measurement import CaptureMeasurement
from harness.core.cell import Value
from harness.core.revision import AXIS
from harness.core.statuses import AttemptStatus, RunStatus


@dataclass(frozen=True, slots=True)
class DriverIdentity:
    """One `harness` process that runs a run."""

    host: str
    pid: int
    folder: str = ""
    """Where it keeps the run's files; empty in runs before 2026-11-25."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as stored before its first attempt."""

    id: str
    created: float
    seed: int
    device: str
    plan: dict[str, Any]
    options: dict[str, Any]
    fingerprint: dict[str, Any]
    status: RunStatus = RunStatus.RUNNING
    ended: float | None = None
    number: int = 0
    """Runs of one store in the order they began, whatever the clock said."""
    ended_by: str | None = None
    """Why the run is not complete: a signal, a closed pipe, attempts that could not be started."""
    driver: DriverIdentity | None = None
    """Who writes the run, or wrote it last."""
    parts: tuple[dict[str, Any], ...] = ()
    """Fingerprints of the parts that were resumed with changed files, in order."""


@dataclass(frozen=True, slots=True)
class AttemptIdentity:
    """Which attempt of which run. Positions, repeats and launches count from 0."""

    id: str
    run_id: str
    position: int
    replaces: int
    """0 for an attempt of the plan, else the n-th replacement of one that infrastructure ended."""
    suite: str
    cell: str
    repeat: int
    seed: int
    launch: int = 0
    """How often the attempt was lost before its suite started, and leased again."""
    warmup: bool = False
    """Made before the plan's attempts, and never counted."""
    part: int = 0
    """0, or the n-th part of a run that was resumed with changed files."""


@dataclass(frozen=True, slots=True)
class Lease:
    """What an attempt ran on. Recorded for attribution: a failure may follow any of these."""

    devices: tuple[str, ...]
    node: str
    zygote: str
    isolation: str
    started: float
    wall_seconds: float
    folder: str
    log_tails: dict[str, str] = field(default_factory=dict)
    suite_started: bool = True
    """Whether rank 0 had begun. If not, the attempt says nothing, and is owed."""


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One stored attempt, without its tests. `cell` is the cell's key; bytes and seconds plain."""

    id: str
    run_id: str
    position: int
    replaces: int
    suite: str
    cell: str
    repeat: int
    seed: int
    status: AttemptStatus
    kind: str | None
    phase: str | None
    signature: str | None
    message: str | None
    failed_test: str | None
    devices: list[str]
    node: str
    zygote: str
    isolation: str
    started: float
    wall_seconds: float
    inside_seconds: float
    capture: CaptureMeasurement
    replays: dict[str, int]
    notes: list[str]
    folder: str
    log_tails: dict[str, str]
    launch: int = 0
    suite_started: bool = True
    warmup: bool = False
    part: int = 0
    audit: tuple[AuditFinding, ...] = ()

    @property
    def revision(self) -> Value | None:
        """The revision that the attempt measured; None without revisions."""
        value: Value | None = json.loads(self.cell).get(AXIS)
        return value

    @property
    def is_owed(self) -> bool:
        """Whether the attempt says nothing, so that the plan still needs one in its place."""
        lost = self.status is AttemptStatus.INFRA and not self.suite_started
        return lost or self.status is AttemptStatus.CENSORED


@dataclass(frozen=True, slots=True)
class TestCount:
    """How one test of one suite ended in one cell, counted over valid attempts."""

    __test__ = False

    suite: str
    cell: str
    test: str
    outcome: str
    kind: str | None
    recovered: int
    n: int
    part: int = 0


class TestOutcome(NamedTuple):
    """How one test of one attempt ended. `seconds` is its duration.

    A tuple, because a large run has hundreds of thousands.
    """

    attempt_id: str
    test: str
    outcome: str
    seconds: float
    kind: str | None
    phase: str | None
    signature: str | None
    message: str | None
    reran: bool
    recovered: bool


TestOutcome.__test__ = False  # type: ignore[attr-defined]  # pytest would try to collect it

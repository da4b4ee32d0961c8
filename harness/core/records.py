"""What is kept of a run, as values: the run, its attempts, and counts of its tests. Pure."""

from dataclasses import dataclass, field
from typing import Any

from harness.core.capture_measurement import CaptureMeasurement
from harness.core.statuses import AttemptStatus, RunStatus


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


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """How one test of one attempt ended. `seconds` is its duration."""

    __test__ = False

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

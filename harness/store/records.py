"""What the store keeps, as values: the run, and each attempt with its tests."""

from dataclasses import dataclass, field
from typing import Any

from harness.core.result import AttemptResult


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
    status: str = "running"
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
    status: str
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
    graphs: str
    order_requested: str
    order_observed: str
    pool_bytes: int
    peak_bytes: int
    capture_seconds: float
    trace: list[dict[str, Any]]
    replays: dict[str, int]
    notes: list[str]
    folder: str
    log_tails: dict[str, str]


def attempt_values(result: AttemptResult, lease: Lease) -> dict[str, Any]:
    """The columns of `attempt` that a result and its lease give."""
    failure, capture = result.failure, result.capture
    return {
        "status": result.status,
        "kind": failure and failure.kind.value,
        "phase": failure and failure.phase.value,
        "signature": failure and failure.signature,
        "message": failure and failure.message,
        "failed_test": failure and failure.test,
        "devices": list(lease.devices),
        "node": lease.node,
        "zygote": lease.zygote,
        "isolation": lease.isolation,
        "started": lease.started,
        "wall_seconds": lease.wall_seconds,
        "inside_seconds": result.inside_seconds,
        "graphs": capture.graphs,
        "order_requested": capture.requested,
        "order_observed": capture.observed,
        "pool_bytes": capture.pool_bytes,
        "peak_bytes": capture.peak_bytes,
        "capture_seconds": capture.seconds,
        "trace": list(capture.trace),
        "replays": result.replays,
        "notes": list(result.notes),
        "folder": lease.folder,
        "log_tails": lease.log_tails,
    }


def test_values(result: AttemptResult, attempt_id: str) -> list[dict[str, Any]]:
    """The rows of `test_result` of one attempt."""
    return [
        {
            "attempt_id": attempt_id,
            "test": test.id,
            "outcome": test.outcome.value,
            "seconds": test.seconds,
            "kind": test.failure and test.failure.kind.value,
            "phase": test.failure and test.failure.phase.value,
            "signature": test.failure and test.failure.signature,
            "message": test.failure and test.failure.message,
            "reran": int(test.reran),
            "recovered": int(test.recovered),
        }
        for test in result.tests
    ]

"""Values to rows and back: how `core.records` and `core.result` lie in the tables."""

from typing import Any

import sqlalchemy as sa

from harness.core.capture_measurement import CaptureMeasurement
from harness.core.records import AttemptRow, Lease, RunRecord
from harness.core.result import AttemptResult
from harness.core.statuses import AttemptStatus, RunStatus

#: Fields of a capture measurement and their columns; `trace` is a column of its own.
_CAPTURE = {
    "graphs": "graphs",
    "requested": "order_requested",
    "observed": "order_observed",
    "pool_bytes": "pool_bytes",
    "peak_bytes": "peak_bytes",
    "seconds": "capture_seconds",
}


def read_run(row: sa.Row[Any]) -> RunRecord:
    """Return the run that a row of `run` holds."""
    values = dict(row._mapping)
    return RunRecord(**{**values, "status": RunStatus(values["status"])})


def read_attempt(values: dict[str, Any]) -> AttemptRow:
    """Return the attempt that a row of `attempt` holds."""
    capture = CaptureMeasurement(
        **{name: values[column] for name, column in _CAPTURE.items()}, trace=tuple(values["trace"])
    )
    rest = {k: v for k, v in values.items() if k not in {*_CAPTURE.values(), "trace"}}
    return AttemptRow(**{**rest, "status": AttemptStatus(values["status"])}, capture=capture)


def attempt_values(result: AttemptResult, lease: Lease) -> dict[str, Any]:
    """Return the columns of `attempt` that a result and its lease give."""
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
        **{column: getattr(capture, name) for name, column in _CAPTURE.items()},
        "trace": list(capture.trace),
        "replays": result.replays,
        "notes": list(result.notes),
        "folder": lease.folder,
        "log_tails": lease.log_tails,
    }


def test_values(result: AttemptResult, attempt_id: str) -> list[dict[str, Any]]:
    """Return the rows of `test_result` of one attempt."""
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

"""Values to rows and back: how `core.records` and `core.result` lie in the tables."""

from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from harness.core.audit import restore_finding
from harness.core.capture_measurement import CaptureMeasurement
from harness.core.records import (
    AttemptIdentity,
    AttemptRow,
    DriverIdentity,
    Lease,
    RunRecord,
)
from harness.core.result import AttemptResult, TestResult
from harness.core.statuses import AttemptStatus, RunStatus
from harness.store.cleaning import clean
from harness.store.correction import correct_attempt

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
    driver = values["driver"]
    return RunRecord(
        **{
            **values,
            "status": RunStatus(values["status"]),
            "driver": driver and DriverIdentity(**driver),
            "parts": tuple(values["parts"]),
        }
    )


def read_attempt(values: dict[str, Any]) -> AttemptRow:
    """Return the attempt that a row of `attempt` holds, its kind by today's rules."""
    values = correct_attempt(values)
    capture = CaptureMeasurement(
        **{name: values[column] for name, column in _CAPTURE.items()}, trace=tuple(values["trace"])
    )
    rest = {k: v for k, v in values.items() if k not in {*_CAPTURE.values(), "trace"}}
    return AttemptRow(
        **{
            **rest,
            "status": AttemptStatus(values["status"]),
            "suite_started": bool(values["suite_started"]),
            "warmup": bool(values["warmup"]),
            "audit": tuple(map(restore_finding, values["audit"])),
        },
        capture=capture,
    )


@dataclass(frozen=True, slots=True)
class AttemptRows:
    """One attempt as the tables hold it. Everything in it can be stored."""

    attempt: dict[str, Any]
    tests: list[dict[str, Any]]


def make_rows(identity: AttemptIdentity, result: AttemptResult, lease: Lease) -> AttemptRows:
    """Return the rows of one attempt, whatever it said."""
    return AttemptRows(
        clean(_write_attempt(identity, result, lease)), _write_tests(result, identity.id)
    )


def _write_attempt(
    identity: AttemptIdentity, result: AttemptResult, lease: Lease
) -> dict[str, Any]:
    """Return the row of `attempt`."""
    failure, capture = result.failure, result.capture
    return {
        **asdict(identity),
        "warmup": int(identity.warmup),
        "suite_started": int(lease.suite_started),
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
        "audit": [asdict(finding) for finding in result.audit],
        "folder": lease.folder,
        "log_tails": lease.log_tails,
    }


def _write_tests(result: AttemptResult, attempt_id: str) -> list[dict[str, Any]]:
    """Return the rows of `test_result` of one attempt: one per test id, as stored."""
    rows = [_write_test(test, attempt_id) for test in result.tests]
    # Two ids that differ only in what cannot be stored are one.
    return list({row["test"]: row for row in rows}.values())


def _write_test(test: TestResult, attempt_id: str) -> dict[str, Any]:
    failure = test.failure
    row: dict[str, Any] = clean(
        {
            "attempt_id": attempt_id,
            "test": test.id,
            "outcome": test.outcome.value,
            "seconds": test.seconds,
            "kind": failure and failure.kind.value,
            "phase": failure and failure.phase.value,
            "signature": failure and failure.signature,
            "message": failure and failure.message,
            "reran": int(test.reran),
            "recovered": int(test.recovered),
        }
    )
    return row

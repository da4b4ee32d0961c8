"""The columns of the attempt and outcome tables, for CSV and Parquet: declared once, with units."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from harness.core.records import AttemptRow, TestOutcome
from harness.report.run_export import RunExport, get_axes


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column: its name, Arrow type, and meaning with unit. `read` takes a row's record."""

    name: str
    kind: str
    meaning: str
    read: Callable[[Any], Any]


def _read_capture(name: str) -> Callable[[AttemptRow], Any]:
    return lambda row: getattr(row.capture, name) if row.capture.graphs else None


def _declare(name: str, kind: str, meaning: str) -> TableColumn:
    return TableColumn(name, kind, meaning, attrgetter(name))


ATTEMPT_COLUMNS = (
    TableColumn("attempt", "string", "id of the attempt", attrgetter("id")),
    _declare("run_id", "string", "id of the run"),
    _declare("position", "int64", "place in the plan's queue, from 0"),
    _declare("replaces", "int64", "0, or n for the n-th replacement of a lost attempt"),
    _declare("suite", "string", "suite's node id"),
    TableColumn("cell", "string", "the cell in short", lambda row: get_axes(row).label),
    _declare("repeat", "int64", "repeat within the cell, from 0"),
    _declare("seed", "int64", "seed of the attempt"),
    _declare("part", "int64", "0, or n after the n-th change of what is measured"),
    TableColumn(
        "status", "string", "passed, failed, infra or censored", lambda row: row.status.value
    ),
    _declare("kind", "string", "kind of failure, empty if it passed"),
    _declare("phase", "string", "phase of the failure: setup, capture, run or teardown"),
    _declare("signature", "string", "normalised fingerprint of the failure"),
    _declare("failed_test", "string", "first failed test"),
    TableColumn("devices", "string", "device ids, joined by +", lambda row: "+".join(row.devices)),
    _declare("node", "string", "host name"),
    _declare("zygote", "string", "process that forked the ranks, empty if they were spawned"),
    _declare("isolation", "string", "spawn or fork"),
    _declare("started", "double", "start, seconds since 1970-01-01 UTC"),
    _declare("wall_seconds", "double", "duration as the supervisor saw it, seconds"),
    _declare("inside_seconds", "double", "duration as pytest saw it, seconds"),
    TableColumn("graphs", "string", "cuda or recorded", _read_capture("graphs")),
    TableColumn("order_requested", "string", "capture order asked for", _read_capture("requested")),
    TableColumn("order_observed", "string", "capture order seen", _read_capture("observed")),
    TableColumn("pool_bytes", "int64", "graph pools, bytes", _read_capture("pool_bytes")),
    TableColumn("peak_bytes", "int64", "most in use at once, bytes", _read_capture("peak_bytes")),
    TableColumn(
        "capture_seconds", "double", "time of capturing, seconds", _read_capture("seconds")
    ),
)

OUTCOME_COLUMNS = (
    TableColumn("attempt", "string", "id of the attempt", attrgetter("attempt_id")),
    _declare("test", "string", "test's node id"),
    _declare("outcome", "string", "passed, failed, skipped or precluded (not reached)"),
    _declare("seconds", "double", "duration, seconds"),
    _declare("kind", "string", "kind of failure"),
    _declare("phase", "string", "phase of the failure"),
    _declare("signature", "string", "normalised fingerprint of the failure"),
    _declare("message", "string", "message of the failure"),
    _declare("reran", "bool", "whether it was run again in the same process"),
    _declare("recovered", "bool", "whether a rerun in the same process passed"),
)


def list_attempt_columns(export: RunExport) -> list[TableColumn]:
    """Return the attempt columns, then `axis_NAME` for every axis of the run, as text."""
    names = dict.fromkeys(name for cell in export.report.all_cells for name, _ in cell.axes.axes)
    return [*ATTEMPT_COLUMNS, *(_make_axis_column(name) for name in names)]


def _make_axis_column(name: str) -> TableColumn:
    def read(row: AttemptRow) -> str | None:
        value = get_axes(row).get(name)
        return None if value is None else str(value)

    return TableColumn(f"axis_{name}", "string", f"value on the axis {name}, as text", read)


#: A record of either table.
Record = AttemptRow | TestOutcome

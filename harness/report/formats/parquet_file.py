"""Parquet: one row per attempt and one per outcome, with each column's meaning in its metadata."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness.report.formats.columns import (
    OUTCOME_COLUMNS,
    Record,
    TableColumn,
    list_attempt_columns,
)
from harness.report.run_export import RunExport

_ROWS_AT_ONCE = 20_000


def write(export: RunExport, path: Path) -> None:
    """Write `attempts.parquet` and `outcomes.parquet` into the folder."""
    path.mkdir(exist_ok=True)
    _write_table(path / "attempts.parquet", list_attempt_columns(export), export.attempts)
    _write_table(path / "outcomes.parquet", OUTCOME_COLUMNS, export.read_outcomes())


def _write_table(path: Path, columns: Sequence[TableColumn], records: Iterable[Record]) -> None:
    schema = pa.schema(
        [
            pa.field(c.name, pa.type_for_alias(c.kind), metadata={"meaning": c.meaning})
            for c in columns
        ]
    )
    with pq.ParquetWriter(path, schema) as writer:
        for batch in _cut(records):
            arrays = [
                _make_array([column.read(record) for record in batch], field.type)
                for column, field in zip(columns, schema, strict=True)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def _cut(records: Iterable[Record]) -> Iterator[list[Record]]:
    left = iter(records)
    while batch := list(islice(left, _ROWS_AT_ONCE)):
        yield batch


def _make_array(values: list[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, type=kind)
    except UnicodeEncodeError:
        # A lone surrogate, which a test's message may hold, is no UTF-8.
        written = [v.encode(errors="backslashreplace") if isinstance(v, str) else v for v in values]
        return pa.array(written, type=kind)

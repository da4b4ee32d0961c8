"""CSV: one row per attempt and one per outcome. A missing value is an empty field."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.report.formats.columns import (
    OUTCOME_COLUMNS,
    Record,
    TableColumn,
    list_attempt_columns,
)
from harness.report.run_export import RunExport


def write(export: RunExport, path: Path) -> None:
    """Write `attempts.csv` and `outcomes.csv` into the folder."""
    path.mkdir(exist_ok=True)
    _write_table(path / "attempts.csv", list_attempt_columns(export), export.attempts)
    _write_table(path / "outcomes.csv", OUTCOME_COLUMNS, export.read_outcomes())


def _write_table(path: Path, columns: Sequence[TableColumn], records: Iterable[Record]) -> None:
    readers = [column.read for column in columns]
    # A lone surrogate, which a test's message may hold, is no UTF-8.
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        table = csv.writer(file)
        table.writerow([column.name for column in columns])
        table.writerows([read(record) for read in readers] for record in records)

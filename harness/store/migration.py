"""Older stores: read through a migrated copy in memory, written after a migration of a copy."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateColumn

from harness.core.errors import StoreError
from harness.store import schema


def copy_to_memory(path: Path, version: int) -> sqlite3.Connection:
    """Return an in-memory copy of an older store in today's schema. The file stays as it is."""
    copy = sqlite3.connect(":memory:", check_same_thread=False)
    with closing(sqlite3.connect(f"file:{quote(bytes(path))}?mode=ro", uri=True)) as source:
        source.backup(copy)
    _migrate(copy, version)
    return copy


def migrate_file(path: Path, version: int) -> Path:
    """Bring an older store up to date. Return where the file as it was is kept.

    Raise StoreError if another process has the store open.
    """
    kept = path.with_name(f"{path.stem}.schema{version}{path.suffix}")
    temporary = path.with_name(f"{path.name}.migrating")
    temporary.unlink(missing_ok=True)
    with closing(sqlite3.connect(path, timeout=5)) as source:
        try:
            # Folds the log into the file and fails if somebody else still reads or writes it.
            source.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.OperationalError as error:
            raise StoreError(
                f"store {path} has schema {version} and is in use ({error}): it is migrated once "
                "nobody uses it; wait for the other harness, or choose another --store"
            ) from None
        with closing(sqlite3.connect(temporary)) as copy:
            source.backup(copy)
            _migrate(copy, version)
            copy.execute("PRAGMA journal_mode=WAL")
    path.replace(kept)
    temporary.replace(path)
    return kept


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    for number in range(version + 1, schema.SCHEMA_VERSION + 1):
        for table, names in schema.ADDED[number].items():
            for name in names:
                column = schema.metadata.tables[table].c[name]
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {_define(column)}")
    if version < 2:
        # The clock told which run was begun last.
        connection.execute(
            "UPDATE run SET number = (SELECT count(*) FROM run AS other "
            "WHERE other.created < run.created OR (other.created = run.created "
            "AND other.rowid <= run.rowid))"
        )
    connection.execute("UPDATE harness_meta SET schema_version = ?", (schema.SCHEMA_VERSION,))
    connection.commit()


def _define(column: sa.Column[object]) -> str:
    return str(CreateColumn(column).compile(dialect=sqlite.dialect()))

"""What a store must be before it is used: ours, of a known version, and nothing beside it."""

import sqlite3
from collections.abc import Iterator

from harness.core.errors import StoreError
from harness.store import schema

META = "harness_meta"


def read_version(connection: sqlite3.Connection, name: str) -> int | None:
    """Return the store's schema version, or None if the database is empty.

    Raise StoreError if it belongs to something else, is newer, or holds objects that its version
    does not have: a trigger could rewrite results as they are stored.
    """
    tables = [row[0] for row in _list_objects(connection, "table")]
    if META not in tables:
        if tables:
            raise StoreError(f"{name} belongs to something else: {tables[0]!r}")
        return None
    version = _read_number(connection, name)
    for problem in _find_foreign(connection, version):
        raise StoreError(
            f"{name} was tampered with: {problem}, which no harness store has; "
            "do not trust it, and choose another --store"
        )
    return version


def _read_number(connection: sqlite3.Connection, name: str) -> int:
    row = connection.execute(f"SELECT schema_version FROM {META}").fetchone()
    version = row[0] if row else None
    if not isinstance(version, int) or not 1 <= version <= schema.SCHEMA_VERSION:
        raise StoreError(
            f"{name} has schema {version}, this harness knows {schema.SCHEMA_VERSION}: "
            "upgrade harness, or choose another --store"
        )
    return version


def _find_foreign(connection: sqlite3.Connection, version: int) -> Iterator[str]:
    """Yield each object and column that a store of this version does not have."""
    known: dict[str, set[str | None]] = {
        "table": {*schema.metadata.tables},
        "index": {
            index.name for table in schema.metadata.tables.values() for index in table.indexes
        },
    }
    for kind in ("trigger", "view", "table", "index"):
        for (name,) in _list_objects(connection, kind):
            if name not in known.get(kind, set()) and not name.startswith("sqlite_autoindex_"):
                yield f"{kind} {name!r}"
    for name, table in schema.metadata.tables.items():
        wanted = schema.list_columns(table, version)
        found = connection.execute(f"PRAGMA table_xinfo({name})").fetchall()
        if {row[1] for row in found} != wanted or any(row[6] for row in found):
            yield f"table {name!r} has other columns"


def _list_objects(connection: sqlite3.Connection, kind: str) -> list[tuple[str]]:
    query = "SELECT name FROM sqlite_master WHERE type = ? ORDER BY name"
    return connection.execute(query, (kind,)).fetchall()

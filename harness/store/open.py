"""Opening a store: made, checked, migrated or refused, so that no result is lost or mixed up."""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool, StaticPool

from harness.core.errors import StoreError
from harness.store import schema
from harness.store.checks import META, read_version
from harness.store.location import check_location, is_read_only
from harness.store.migration import copy_to_memory, migrate_file
from harness.store.store import Store

#: How long a statement waits for another process that holds the database.
_BUSY_S = 5.0


def open_store(location: str, *, write: bool) -> Store:
    """Open a SQLite path, or a SQLAlchemy URL. Make a new store only if `write`.

    An older store is migrated on a copy if `write`, else read as it is. Raise StoreError if the
    store is missing (for readers), unwritable, foreign, newer, tampered with, or on a network file
    system.
    """
    try:
        if "://" in location:
            return Store(_open_url(location, write=write))
        path = Path(location)
        check_location(path, write=write)
        return Store(_open_for_writing(path) if write else _open_for_reading(path), path)
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise StoreError(f"store {location}: {_explain(error)}") from None


def open_in_memory() -> Store:
    """Return an empty store in memory, for rows that no store on disk takes."""
    engine = _wrap(sqlite3.connect(":memory:", check_same_thread=False))
    _create_tables(engine)
    return Store(engine)


def _open_url(location: str, *, write: bool) -> sa.Engine:
    try:
        engine = sa.create_engine(sa.make_url(location))
    except SQLAlchemyError:
        raise StoreError(f"store {location!r} is no database URL") from None
    names = sa.inspect(engine).get_table_names()
    if META in names:
        return engine
    if names:
        raise StoreError(f"{engine.url.render_as_string()} belongs to something else: {names[0]!r}")
    if not write:
        raise StoreError(f"{engine.url.render_as_string()} holds no runs yet")
    _create_tables(engine)
    return engine


def _open_for_writing(path: Path) -> sa.Engine:
    # Two first commands at once: one makes the store, the other finds it made.
    with _lock_folder(path):
        with closing(sqlite3.connect(path)) as connection:
            version = read_version(connection, str(path))
        if version is None:
            _make(path)
        elif version < schema.SCHEMA_VERSION:
            migrate_file(path, version)
    return _connect(path, "mode=rw")


def _open_for_reading(path: Path) -> sa.Engine:
    mode = _choose_mode(path)
    with closing(_open_file(path, mode)) as connection:
        version = read_version(connection, str(path))
    if version is None:
        raise StoreError(f"{path} holds no runs yet")
    if version < schema.SCHEMA_VERSION:
        return _wrap(copy_to_memory(path, version))
    return _connect(path, mode)


def _choose_mode(path: Path) -> str:
    """Return how SQLite is to open the file: on read-only media it cannot make its side files."""
    log = path.with_name(f"{path.name}-wal")
    has_log = log.is_file() and log.stat().st_size > 0
    return "immutable=1" if is_read_only(path) and not has_log else "mode=rw"


def _make(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        # Survives in the file; readers may then look while the run writes.
        connection.execute("PRAGMA journal_mode=WAL")
    engine = _connect(path, "mode=rw")
    _create_tables(engine)
    engine.dispose()


def _create_tables(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        schema.metadata.create_all(connection)
        connection.execute(schema.meta.insert().values(schema_version=schema.SCHEMA_VERSION))


def _connect(path: Path, mode: str) -> sa.Engine:
    return sa.create_engine(
        "sqlite://", creator=lambda: _open_file(path, mode), poolclass=QueuePool
    )


def _open_file(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(bytes(path))}?{mode}", uri=True, timeout=_BUSY_S, check_same_thread=False
    )
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


def _wrap(connection: sqlite3.Connection) -> sa.Engine:
    return sa.create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)


@contextlib.contextmanager
def _lock_folder(path: Path) -> Iterator[None]:
    folder = os.open(path.absolute().parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _explain(error: Exception) -> str:
    text = str(getattr(error, "orig", None) or error).splitlines()[0]
    if "not a database" in text or "malformed" in text:
        return f"{text}: the file is foreign or damaged; move it away or choose another --store"
    return f"{text}; choose another --store"

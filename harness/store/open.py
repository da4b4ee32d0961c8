"""Opening a store: the checks that keep a measurement from being lost or mixed up."""

import os
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, SQLAlchemyError

from harness.core.errors import NoStoreError, StoreError
from harness.store import schema

DEFAULT_PATH = Path(".harness/store.sqlite")

#: SQLite's WAL needs shared memory, which these do not give: a corrupted store tells no truth.
_NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "lustre", "ceph"}


def open_store(location: str | None, *, write: bool) -> sa.Engine:
    """Open a SQLite path, or a SQLAlchemy URL. Makes a new store only where `write`.

    Raises StoreError where it is missing (for readers), unwritable, foreign, newer, or on a
    network file system.
    """
    engine = sa.create_engine(_url(location or str(DEFAULT_PATH), write=write))
    if engine.dialect.name == "sqlite":
        _tune_sqlite(engine)
    try:
        _check_schema(engine, write=write)
    except DatabaseError as error:
        raise StoreError(f"store {location or DEFAULT_PATH}: {_reason(error)}") from None
    except SQLAlchemyError as error:
        raise StoreError(f"store {location}: {error}") from None
    return engine


def _url(location: str, *, write: bool) -> sa.URL:
    if "://" in location:
        try:
            return sa.make_url(location)
        except SQLAlchemyError:
            raise StoreError(f"store {location!r} is no database URL") from None
    path = Path(location)
    if write:
        _make_folder(path)
    elif not path.is_file():
        raise NoStoreError(
            f"no store at {location}; `harness run` makes one, --store names another"
        )
    file_system = _file_system(path.absolute())
    if file_system in _NETWORK_FILE_SYSTEMS:
        raise StoreError(
            f"store {location} lies on {file_system}: SQLite's log needs a local disk; use --store"
        )
    return sa.URL.create("sqlite", database=str(path))


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"store {path} cannot be made: {error.strerror}; use --store") from None
    target = path if path.exists() else path.parent
    if not os.access(target, os.W_OK):
        raise StoreError(f"store {path} is not writable; choose another with --store")


def _file_system(path: Path) -> str:
    """The type of the mount that holds `path`, from the kernel's own table."""
    best, kind = "", ""
    for line in Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines():
        fields = line.split(" ")
        mount = fields[1].replace("\\040", " ")
        if path.is_relative_to(mount) and len(mount) > len(best):
            best, kind = mount, fields[2]
    return kind


def _tune_sqlite(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "connect")
    def _pragmas(connection: sa.engine.interfaces.DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA busy_timeout=5000")
        cursor.close()


def _check_schema(engine: sa.Engine, *, write: bool) -> None:
    names = sa.inspect(engine).get_table_names()
    if "harness_meta" in names:
        _check_version(engine)
        return
    if names:
        raise StoreError(f"{engine.url.render_as_string()} belongs to something else: {names[0]!r}")
    if not write:
        raise StoreError(f"{engine.url.render_as_string()} holds no runs yet")
    _create(engine)


def _create(engine: sa.Engine) -> None:
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            # Survives in the file; readers may then look while the run writes.
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    schema.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(schema.meta.insert().values(schema_version=schema.SCHEMA_VERSION))


def _check_version(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        version = connection.execute(sa.select(schema.meta.c.schema_version)).scalar()
    if version is None or version > schema.SCHEMA_VERSION:
        raise StoreError(
            f"{engine.url.render_as_string()} has schema {version}, this harness knows "
            f"{schema.SCHEMA_VERSION}: upgrade harness, or choose another --store"
        )


def _reason(error: DatabaseError) -> str:
    text = str(error.orig)
    if "not a database" in text or "malformed" in text:
        return f"{text}: the file is foreign or damaged; move it away or choose another --store"
    return f"{text}; choose another --store"

"""Reading and writing runs."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa

from harness.core.errors import StoreError
from harness.core.records import (
    AttemptIdentity,
    AttemptRow,
    DriverIdentity,
    Lease,
    RunRecord,
    TestCount,
    TestOutcome,
)
from harness.core.result import AttemptResult
from harness.core.statuses import VALID, AttemptStatus, RunStatus
from harness.store import schema
from harness.store.cleaning import clean
from harness.store.correction import correct_counts, correct_outcome
from harness.store.rows import AttemptRows, make_rows, read_attempt, read_run
from harness.store.selection import select_attempt, select_run

_CHECKPOINT_TRIES = 10
_CHECKPOINT_WAIT_S = 0.1

#: Characters of the cause that a run keeps.
_LONGEST_CAUSE = 500

#: Columns that are large and that few readers want.
_BULKY = ("trace", "log_tails")
_ROWS_AT_ONCE = 5000


class Store:
    """Runs and attempts in one database. The driver is its only writer."""

    def __init__(self, engine: sa.Engine, path: Path | None = None) -> None:
        """`path`: the file, if there is one; if it is deleted or replaced, writing fails."""
        self._engine = engine
        self._path = path
        self._file = _identify_file(path)

    @property
    def path(self) -> Path | None:
        """The file, if the store is one."""
        return self._path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add_run(self, record: RunRecord) -> None:
        """Store plan, seed and fingerprint, before the first attempt."""
        table = schema.run
        newest = sa.select(sa.func.coalesce(sa.func.max(table.c.number), 0) + 1).scalar_subquery()
        values = {**clean(asdict(record)), "number": newest}
        with self._begin() as connection:
            connection.execute(table.insert().values(**values))
        # A copy of the file alone then shows that a run was going on.
        self._checkpoint()

    def end_run(self, run_id: str, status: RunStatus, ended_by: str | None = None) -> None:
        """Store how the run ended, and why if it is not complete."""
        self._update_run(
            run_id,
            status=status,
            ended_by=clean(ended_by and ended_by[:_LONGEST_CAUSE]),
            ended=time.time(),
        )
        self._checkpoint()

    def reopen_run(
        self, run_id: str, driver: DriverIdentity, parts: Sequence[dict[str, Any]] = ()
    ) -> None:
        """Mark a run as running again, for `--resume`: its censored attempts are made anew.

        parts: fingerprints of the parts that were resumed with changed files.
        """
        attempt = schema.attempt
        unknown = (attempt.c.run_id == run_id) & (attempt.c.status == AttemptStatus.CENSORED)
        with self._begin() as connection:
            connection.execute(attempt.delete().where(unknown))
        self._update_run(
            run_id, status=RunStatus.RUNNING, ended_by=None, ended=None,
            driver=asdict(driver), parts=clean(list(parts)),
        )  # fmt: skip

    def add_attempt(self, identity: AttemptIdentity, result: AttemptResult, lease: Lease) -> None:
        """Commit one attempt with its tests, as it ends: a later crash cannot lose it."""
        self.add_rows(make_rows(identity, result, lease))

    def add_rows(self, rows: AttemptRows) -> None:
        """Commit one attempt with its tests. Raise StoreError if the file is gone or fails."""
        self._check_file()
        with self._begin() as connection:
            connection.execute(schema.attempt.insert().values(**rows.attempt))
            if rows.tests:
                connection.execute(schema.test_result.insert(), rows.tests)

    def runs(self) -> list[RunRecord]:
        """Return all runs, the one begun last first."""
        table = schema.run
        newest = table.c.number.desc(), table.c.created.desc()
        with self._connect() as connection:
            return [read_run(row) for row in connection.execute(sa.select(table).order_by(*newest))]

    def run(self, name: str) -> RunRecord:
        """The run with this id, unique prefix, or `latest`. Raises UsageError where none fits."""
        return select_run(self.runs(), name)

    def attempts(self, run_id: str, *, warmup: bool = False) -> list[AttemptRow]:
        """The attempts of a run in lease order; a replacement follows what it replaces.

        `warmup`: those that warmed up, which no count may hold, instead of all others.
        Only the last attempt of each cell that captured comes with its `trace` and `log_tails`:
        those of all would be most of what is read. `attempt` gives any one's.
        """
        table = schema.attempt
        light = [column for column in table.c if column.name not in _BULKY]
        query = sa.select(*light).where(table.c.run_id == run_id, table.c.warmup == int(warmup))
        with self._connect() as connection:
            order = table.c.position, table.c.replaces, table.c.launch
            found = connection.execute(query.order_by(*order)).all()
            last = {(row.suite, row.cell): row.id for row in found if row.graphs}
            wanted = sa.select(table.c.id, table.c.trace, table.c.log_tails)
            wanted = wanted.where(table.c.id.in_(last.values()))
            bulk = {row.id: row._mapping for row in connection.execute(wanted)}
        return [
            read_attempt({"trace": [], "log_tails": {}, **row._mapping, **bulk.get(row.id, {})})
            for row in found
        ]

    def attempt(self, name: str) -> AttemptRow:
        """The attempt with this id or unique prefix. Raises UsageError where none fits."""
        return select_attempt(self.find_attempts(name), name)

    def find_attempts(self, prefix: str) -> list[AttemptRow]:
        """Return two attempts at most whose ids begin so, the one of this id among them."""
        table = schema.attempt
        query = sa.select(table).where(table.c.id.startswith(prefix, autoescape=True))
        with self._connect() as connection:
            found = connection.execute(query.order_by(sa.func.length(table.c.id)).limit(2))
            return [read_attempt(dict(row._mapping)) for row in found]

    def read_rows(self, run_id: str) -> list[AttemptRows]:
        """Return the attempts of a run as they lie in the tables, without what is large."""
        attempt, test = schema.attempt, schema.test_result
        chosen = attempt.c.run_id == run_id
        wanted = sa.select(test).join(attempt, attempt.c.id == test.c.attempt_id).where(chosen)
        tests: dict[str, list[dict[str, Any]]] = {}
        with self._connect() as connection:
            light = [column for column in attempt.c if column.name not in _BULKY]
            attempts = connection.execute(sa.select(*light).where(chosen)).all()
            for row in connection.execute(wanted):
                tests.setdefault(row.attempt_id, []).append(dict(row._mapping))
        return [
            AttemptRows({**row._mapping, "trace": [], "log_tails": {}}, tests.get(row.id, []))
            for row in attempts
        ]

    def test_counts(self, run_id: str) -> list[TestCount]:
        """Outcomes per suite, cell and test over the valid attempts of a run."""
        a, t = schema.attempt, schema.test_result
        keys = (a.c.suite, a.c.cell, t.c.test, t.c.outcome, t.c.kind, t.c.recovered)
        query = (
            sa.select(*keys, sa.func.count().label("n"), a.c.part)
            .join(a, a.c.id == t.c.attempt_id)
            .where(a.c.run_id == run_id, a.c.status.in_(VALID), a.c.warmup == 0)
            .group_by(*keys, a.c.part)
        )
        with self._connect() as connection:
            counts = [TestCount(*row) for row in connection.execute(query)]
            return correct_counts(connection, run_id, counts)

    def test_outcomes(self, run_id: str) -> Iterator[TestOutcome]:
        """Yield every test of every attempt of a run, in lease order, without holding them all."""
        a, t = schema.attempt, schema.test_result
        plain = [t.c[name] for name in TestOutcome._fields[:-2]]
        flags = [sa.type_coerce(t.c[name], sa.Boolean) for name in TestOutcome._fields[-2:]]
        query = sa.select(*plain, *flags, a.c.cell, a.c.devices, a.c.graphs)
        query = query.join(a, a.c.id == t.c.attempt_id)
        query = query.where(a.c.run_id == run_id, a.c.warmup == 0)
        query = query.order_by(a.c.position, a.c.replaces, t.c.attempt_id)
        with self._connect() as connection:
            rows = connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(query)
            yield from map(correct_outcome, rows)

    def count_signatures(self) -> list[tuple[str, str, int]]:
        """Return signature, run and number of the failed attempts of all runs."""
        a = schema.attempt
        query = sa.select(a.c.signature, a.c.run_id, sa.func.count())
        query = query.where(a.c.status == AttemptStatus.FAILED, a.c.signature.is_not(None))
        with self._connect() as connection:
            found = connection.execute(query.group_by(a.c.signature, a.c.run_id))
            return [(signature, run_id, n) for signature, run_id, n in found]

    def count_attempts(self) -> dict[str, dict[str, int]]:
        """Return the number of attempts of every run, by their status."""
        a = schema.attempt
        query = sa.select(a.c.run_id, a.c.status, sa.func.count()).where(a.c.warmup == 0)
        query = query.group_by(a.c.run_id, a.c.status)
        found: dict[str, dict[str, int]] = {}
        with self._connect() as connection:
            for run_id, status, n in connection.execute(query):
                found.setdefault(run_id, {})[status] = n
        return found

    def delete_run(self, run_id: str) -> None:
        """Delete a run with its attempts and tests, and give the space back."""
        run, attempt, test = schema.run, schema.attempt, schema.test_result
        attempts = sa.select(attempt.c.id).where(attempt.c.run_id == run_id)
        self._check_file()
        with self._begin() as connection:
            connection.execute(test.delete().where(test.c.attempt_id.in_(attempts)))
            connection.execute(attempt.delete().where(attempt.c.run_id == run_id))
            connection.execute(run.delete().where(run.c.id == run_id))
        if self._engine.dialect.name == "sqlite":
            with self._connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM")
            self._checkpoint()

    def close(self) -> None:
        """Release the database."""
        self._engine.dispose()

    def _update_run(self, run_id: str, **values: Any) -> None:
        self._check_file()
        table = schema.run
        with self._begin() as connection:
            connection.execute(table.update().where(table.c.id == run_id).values(**values))

    def _check_file(self) -> None:
        """Raise StoreError if the file was deleted or replaced: SQLite would write into nothing."""
        if self._path and _identify_file(self._path) != self._file:
            raise StoreError(f"store {self._path} was deleted or replaced while it was in use")

    def _checkpoint(self) -> None:
        """Fold the log into the file: a copy of the file alone must be enough after a run."""
        if self._engine.dialect.name != "sqlite":
            return
        with self._connect() as connection:
            for _ in range(_CHECKPOINT_TRIES):
                row = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").first()
                if row is None or not row[0]:
                    return
                time.sleep(_CHECKPOINT_WAIT_S)  # a reader is looking

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        with _as_store_error(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _connect(self) -> Iterator[sa.Connection]:
        with _as_store_error(), self._engine.connect() as connection:
            yield connection


@contextmanager
def _as_store_error() -> Iterator[None]:
    """Raise StoreError, with one line, for what the database or a damaged value raises."""
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        raise StoreError(f"the store failed: {str(error).splitlines()[0]}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(
            f"the store holds a damaged value ({error}); choose another with --store"
        ) from error


def _identify_file(path: Path | None) -> tuple[int, int] | None:
    try:
        found = path.stat() if path else None
    except OSError:
        return None
    return found and (found.st_dev, found.st_ino)

"""Reading and writing runs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from harness.core.errors import StoreError, UsageError
from harness.core.records import AttemptRow, Lease, RunRecord, TestCount, TestOutcome
from harness.core.result import AttemptResult
from harness.core.statuses import VALID, AttemptStatus, RunStatus
from harness.store import schema
from harness.store.rows import attempt_values, read_attempt, read_run, test_values

#: Columns that are large and that few readers want.
_BULKY = ("trace", "log_tails")
_ROWS_AT_ONCE = 5000


class Store:
    """Runs and attempts in one database. The driver is its only writer."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add_run(self, record: RunRecord) -> None:
        """Store plan, seed and fingerprint, before the first attempt."""
        with self._begin() as connection:
            connection.execute(schema.run.insert().values(**asdict(record)))

    def end_run(self, run_id: str, status: RunStatus) -> None:
        """Store how the run ended: complete, interrupted or failed."""
        table = schema.run
        change = table.update().where(table.c.id == run_id)
        with self._begin() as connection:
            connection.execute(change.values(status=status, ended=time.time()))
        self._checkpoint()

    def reopen_run(self, run_id: str) -> None:
        """Mark a run as running again, for `--resume`: its censored attempts are made anew."""
        table, attempt = schema.run, schema.attempt
        unknown = (attempt.c.run_id == run_id) & (attempt.c.status == AttemptStatus.CENSORED)
        with self._begin() as connection:
            connection.execute(attempt.delete().where(unknown))
            connection.execute(
                table.update()
                .where(table.c.id == run_id)
                .values(status=RunStatus.RUNNING, ended=None)
            )

    def add_attempt(self, identity: dict[str, Any], result: AttemptResult, lease: Lease) -> None:
        """Commit one attempt with its tests, as it ends: a later crash cannot lose it.

        `identity`: id, run_id, position, replaces, suite, cell, repeat and seed.
        """
        with self._begin() as connection:
            values = {**identity, **attempt_values(result, lease)}
            connection.execute(schema.attempt.insert().values(**values))
            tests = test_values(result, identity["id"])
            if tests:
                connection.execute(schema.test_result.insert(), tests)

    def runs(self) -> list[RunRecord]:
        """All runs, newest first."""
        table = schema.run
        with self._connect() as connection:
            rows = connection.execute(sa.select(table).order_by(table.c.created.desc()))
            return [read_run(row) for row in rows]

    def run(self, name: str) -> RunRecord:
        """The run with this id, unique prefix, or `latest`. Raises UsageError where none fits."""
        runs = self.runs()
        if name == "latest" and runs:
            return runs[0]
        found = [run for run in runs if run.id == name] or [
            run for run in runs if name and run.id.startswith(name)
        ]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(f"run {name!r} is ambiguous: {', '.join(r.id for r in found[:5])}")
        raise UsageError(f"no run {name!r} in this store; `harness runs` lists {len(runs)}")

    def attempts(self, run_id: str) -> list[AttemptRow]:
        """The attempts of a run in lease order; a replacement follows what it replaces.

        Only the last attempt of each cell that captured comes with its `trace` and `log_tails`:
        those of all would be most of what is read. `attempt` gives any one's.
        """
        table = schema.attempt
        light = [column for column in table.c if column.name not in _BULKY]
        query = sa.select(*light).where(table.c.run_id == run_id)
        with self._connect() as connection:
            found = connection.execute(query.order_by(table.c.position, table.c.replaces)).all()
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
        table = schema.attempt
        query = sa.select(table).where(table.c.id.startswith(name, autoescape=True)).limit(2)
        with self._connect() as connection:
            rows = [read_attempt(dict(row._mapping)) for row in connection.execute(query)]
        exact = [row for row in rows if row.id == name]
        if not name or len(exact or rows) != 1:
            raise UsageError(f"{'ambiguous' if rows else 'no'} attempt {name!r} in this store")
        return (exact or rows)[0]

    def test_counts(self, run_id: str) -> list[TestCount]:
        """Outcomes per suite, cell and test over the valid attempts of a run."""
        a, t = schema.attempt, schema.test_result
        keys = (a.c.suite, a.c.cell, t.c.test, t.c.outcome, t.c.kind, t.c.recovered)
        query = (
            sa.select(*keys, sa.func.count().label("n"))
            .join(a, a.c.id == t.c.attempt_id)
            .where(a.c.run_id == run_id, a.c.status.in_(VALID))
            .group_by(*keys)
        )
        with self._connect() as connection:
            return [TestCount(*row) for row in connection.execute(query)]

    def test_outcomes(self, run_id: str) -> Iterator[TestOutcome]:
        """Yield every test of every attempt of a run, in lease order, without holding them all."""
        a, t = schema.attempt, schema.test_result
        query = (
            sa.select(t).join(a, a.c.id == t.c.attempt_id).where(a.c.run_id == run_id)
        ).order_by(a.c.position, a.c.replaces, t.c.attempt_id)
        with self._connect() as connection:
            rows = connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(query)
            for row in rows:
                values = {**row._mapping, "reran": bool(row.reran)}
                yield TestOutcome(**{**values, "recovered": bool(row.recovered)})

    def count_attempts(self) -> dict[str, dict[str, int]]:
        """Return the number of attempts of every run, by their status."""
        a = schema.attempt
        query = sa.select(a.c.run_id, a.c.status, sa.func.count()).group_by(a.c.run_id, a.c.status)
        found: dict[str, dict[str, int]] = {}
        with self._connect() as connection:
            for run_id, status, n in connection.execute(query):
                found.setdefault(run_id, {})[status] = n
        return found

    def close(self) -> None:
        """Release the database."""
        self._engine.dispose()

    def _checkpoint(self) -> None:
        # Copying the .sqlite file alone must be enough after a run has ended.
        if self._engine.dialect.name == "sqlite":
            with self._connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

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
    """Database errors reach the user as one line."""
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        raise StoreError(f"the store failed: {str(error).splitlines()[0]}") from error

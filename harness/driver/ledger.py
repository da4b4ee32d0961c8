"""Every ended attempt is kept: in the store, and while that fails, in a journal beside the run."""

import json
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from harness.core.errors import StoreError
from harness.core.records import AttemptIdentity, Lease, RunRecord
from harness.core.result import AttemptResult
from harness.core.statuses import RunStatus
from harness.driver import messages
from harness.store.open import open_in_memory
from harness.store.rows import AttemptRows, make_rows
from harness.store.store import Store

JOURNAL = "unstored.jsonl"

#: How long a store that failed is left alone before the next try.
RETRY_S = 5.0


class Ledger:
    """The results of one run, on their way into the store."""

    def __init__(
        self, store: Store, record: RunRecord, folder: Path, say: Callable[[str], None]
    ) -> None:
        self._store = store
        self._record = record
        self._journal = folder / JOURNAL
        self._say = say
        self._kept: list[bytes] = list(map(_pack, store.read_rows(record.id)))
        self._unstored: list[AttemptRows] = []
        self._next_try = 0.0
        self._failure: StoreError | None = None

    @property
    def unstored(self) -> int:
        """How many attempts the store has not taken yet."""
        return len(self._unstored)

    @property
    def journal(self) -> Path:
        """The file that keeps what the store has not taken."""
        return self._journal

    def add(self, identity: AttemptIdentity, result: AttemptResult, lease: Lease) -> None:
        """Keep one attempt. Never raise for what the store does."""
        rows = make_rows(identity, result, lease)
        self._kept.append(_pack(rows))
        self._unstored.append(rows)
        if self._failure is None or time.monotonic() >= self._next_try:
            self.retry()
        if self._unstored:
            self._write_journal(rows)

    def retry(self) -> None:
        """Store what is still unstored, if the store takes it."""
        try:
            while self._unstored:
                self._store.add_rows(self._unstored[0])
                self._unstored.pop(0)
        except StoreError as error:
            self._next_try = time.monotonic() + RETRY_S
            if self._failure is None:
                self._say(messages.say_store_failed(error, self._journal))
            self._failure = error
        else:
            if self._failure is not None:
                self._say(messages.say_store_back())
                self._failure = None
                self._journal.unlink(missing_ok=True)

    def retry_if_due(self) -> None:
        """Called now and then: try again after a while."""
        if self._unstored and time.monotonic() >= self._next_try:
            self.retry()

    def end_run(self, status: RunStatus, ended_by: str | None) -> Store | None:
        """Store how the run ended. Return None, or if the store fails, a copy in memory.

        The copy holds the run with all its attempts, so that it can be reported.
        """
        self.retry()
        if not self._unstored:
            try:
                self._store.end_run(self._record.id, status, ended_by)
            except StoreError as error:
                self._failure = error
                self._say(messages.say_store_failed(error, self._journal))
            else:
                return None
        copy = open_in_memory()
        ended = replace(self._record, status=status, ended_by=ended_by, ended=time.time())
        copy.add_run(ended)
        for packed in self._kept:
            copy.add_rows(_unpack(packed))
        return copy

    def _write_journal(self, rows: AttemptRows) -> None:
        # A full disk must not end the run: the rows stay in memory.
        with suppress(OSError), self._journal.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(asdict(rows)) + "\n")


def import_journal(store: Store, run_id: str, folder: Path) -> int:
    """Store what an earlier driver of the run could not. Return how many attempts that were."""
    journal = folder / JOURNAL
    try:
        lines = journal.read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    known = {row.id for which in (True, False) for row in store.attempts(run_id, warmup=which)}
    imported = 0
    for rows in _read_journal(lines):
        if rows.attempt["id"] not in known:
            store.add_rows(rows)
            known.add(rows.attempt["id"])
            imported += 1
    journal.unlink()
    return imported


def _read_journal(lines: list[str]) -> list[AttemptRows]:
    """Return the rows of every whole line; a driver may have been killed while it wrote one."""
    found = []
    for line in lines:
        with suppress(ValueError, KeyError):
            found.append(_read_rows(line))
    return found


def _read_rows(text: str | bytes) -> AttemptRows:
    value: dict[str, Any] = json.loads(text)
    return AttemptRows(value["attempt"], value["tests"])


def _pack(rows: AttemptRows) -> bytes:
    """Return the rows, without what is large, in few bytes: they live as long as the run.

    As values, 20 tests take 25 KiB, and 10,000 attempts of them 250 MiB.
    """
    light = AttemptRows({**rows.attempt, "trace": [], "log_tails": {}}, rows.tests)
    return zlib.compress(json.dumps(asdict(light)).encode(), level=1)


def _unpack(packed: bytes) -> AttemptRows:
    return _read_rows(zlib.decompress(packed))

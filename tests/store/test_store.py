"""The store: real SQLite files, killed and corrupted on purpose."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.core.capture_measurement import CaptureMeasurement
from harness.core.errors import StoreError, UsageError
from harness.core.kinds import Kind, Phase
from harness.core.plan import plan_from_dict
from harness.core.records import AttemptIdentity, DriverIdentity, Lease, RunRecord
from harness.core.result import (
    AttemptResult,
    Failure,
    Outcome,
    TestResult,
    make_censored,
)
from harness.core.statuses import AttemptStatus, RunStatus
from harness.store.open import open_store
from harness.store.store import Store

LEASE = Lease(("cpu:0",), "node", "z1", "fork", 1.0, 2.0, "/tmp/x", {"0": "tail"})


def run_record(name: str = "abcd1234") -> RunRecord:
    return RunRecord(name, 1.0, 7, "cpu", {"cells": []}, {}, {"sha": None})


def attempt_result(status: AttemptStatus = AttemptStatus.PASSED) -> AttemptResult:
    failure = (
        Failure(Kind.NAN, Phase.RUN, "sig", "message", "t::a")
        if status is not AttemptStatus.PASSED
        else None
    )
    outcome = Outcome.FAILED if failure else Outcome.PASSED
    return AttemptResult(
        status,
        (TestResult("t::a", outcome, 0.1, failure), TestResult("t::b", Outcome.PASSED, 0.1)),
        (failure,) if failure else (),
        CaptureMeasurement(
            graphs="recorded", requested="ascending", observed="ascending", pool_bytes=3
        ),
        1.0,
        {"verify/1": 3},
        0,
        (),
    )


def identity(position: int, run: str = "abcd1234") -> AttemptIdentity:
    return AttemptIdentity(f"{run}.{position}", run, position, 0, "s.py", "{}", position, position)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sub" / "store.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = open_store(str(path), write=True)
    opened.add_run(run_record())
    yield opened
    opened.close()


def test_an_attempt_comes_back_as_it_was_stored(store: Store) -> None:
    store.add_attempt(identity(0), attempt_result(AttemptStatus.FAILED), LEASE)
    (row,) = store.attempts("abcd1234")
    assert (row.status, row.kind, row.phase, row.failed_test) == ("failed", "nan", "run", "t::a")
    assert (row.devices, row.replays, row.log_tails) == (["cpu:0"], {"verify/1": 3}, {"0": "tail"})


def test_attempts_come_in_lease_order_whatever_the_order_they_ended_in(store: Store) -> None:
    for position in (2, 0, 1):
        store.add_attempt(identity(position), attempt_result(), LEASE)
    assert [row.position for row in store.attempts("abcd1234")] == [0, 1, 2]


VALID_AND_INFRA = (AttemptStatus.PASSED, AttemptStatus.FAILED, AttemptStatus.INFRA)


def test_tests_are_counted_over_valid_attempts_alone(store: Store) -> None:
    for position, status in enumerate(VALID_AND_INFRA):
        store.add_attempt(identity(position), attempt_result(status), LEASE)
    counts = {(c.test, c.outcome): c.n for c in store.test_counts("abcd1234")}
    assert counts == {("t::a", "passed"): 1, ("t::a", "failed"): 1, ("t::b", "passed"): 2}


def test_a_run_is_found_by_unique_prefix_and_as_latest(store: Store) -> None:
    store.add_run(RunRecord("abff0000", 2.0, 7, "cpu", {}, {}, {}))
    assert store.run("abcd").id == "abcd1234"
    assert store.run("latest").id == "abff0000"
    with pytest.raises(UsageError, match="ambiguous"):
        store.run("ab")
    with pytest.raises(UsageError, match="no run 'zz'"):
        store.run("zz")


def test_the_file_alone_is_enough_once_a_run_has_ended(store: Store, path: Path) -> None:
    store.add_attempt(identity(0), attempt_result(), LEASE)
    store.end_run("abcd1234", RunStatus.COMPLETE)
    copy = path.with_name("copy.sqlite")
    shutil.copy(path, copy)
    copied = open_store(str(copy), write=False)
    assert len(copied.attempts("abcd1234")) == 1
    copied.close()


def test_a_reader_may_look_while_the_run_writes(store: Store, path: Path) -> None:
    store.add_attempt(identity(0), attempt_result(), LEASE)
    reader = open_store(str(path), write=False)
    assert len(reader.attempts("abcd1234")) == 1
    store.add_attempt(identity(1), attempt_result(), LEASE)
    assert len(reader.attempts("abcd1234")) == 2
    reader.close()


def test_a_killed_writer_loses_nothing_that_it_had_committed(path: Path) -> None:
    code = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_store import *
store = open_store({str(path)!r}, write=True)
store.add_run(run_record())
for position in range(5):
    store.add_attempt(identity(position), attempt_result(), LEASE)
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code], timeout=60, check=False)
    store = open_store(str(path), write=False)
    assert len(store.attempts("abcd1234")) == 5
    store.close()


def test_a_reader_does_not_make_a_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store at"):
        open_store(str(tmp_path / "none.sqlite"), write=False)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    path.write_bytes(b"these are my notes, not a database" * 40)
    with pytest.raises(StoreError, match=r"notes\.sqlite"):
        open_store(str(path), write=True)
    assert path.read_bytes().startswith(b"these are my notes")


def test_somebody_elses_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE customers (id)")
    other.close()
    with pytest.raises(StoreError, match="belongs to something else: 'customers'"):
        open_store(str(path), write=True)


def test_a_newer_store_is_refused(store: Store, path: Path) -> None:
    store.close()
    with sqlite3.connect(path) as newer:
        newer.execute("UPDATE harness_meta SET schema_version = 99")
    newer.close()
    with pytest.raises(StoreError, match=r"schema 99.*upgrade harness"):
        open_store(str(path), write=True)


def test_a_truncated_store_is_refused(store: Store, path: Path) -> None:
    store.end_run("abcd1234", RunStatus.COMPLETE)
    store.close()
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(StoreError):
        open_store(str(path), write=False).runs()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot be made"):
        open_store(str(tmp_path / "file" / "store.sqlite"), write=True)


def test_a_bad_url_is_refused() -> None:
    with pytest.raises(StoreError, match="no database URL"):
        open_store("://", write=True)


def test_resuming_makes_censored_attempts_anew_and_keeps_the_rest(store: Store) -> None:
    store.add_attempt(identity(0), attempt_result(), LEASE)
    store.add_attempt(identity(1), make_censored(), LEASE)
    store.reopen_run("abcd1234", DriverIdentity("host", 1))
    assert [row.position for row in store.attempts("abcd1234")] == [0]


def test_latest_is_the_run_begun_last_whatever_the_clock_says(store: Store) -> None:
    store.add_run(RunRecord("eeee0000", 0.5, 7, "cpu", {}, {}, {}))
    assert store.run("latest").id == "eeee0000"
    assert [run.number for run in store.runs()] == [2, 1]


def test_two_first_writers_at_once_both_open_the_new_store(path: Path) -> None:
    code = (
        f"from harness.store.open import open_store; open_store({str(path)!r}, write=True).runs()"
    )
    openers = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(6)]
    assert [opener.wait(timeout=60) for opener in openers] == [0] * 6


@pytest.mark.parametrize(
    "statement",
    [
        (
            "CREATE TRIGGER better AFTER INSERT ON attempt BEGIN"
            " UPDATE attempt SET status = 'passed' WHERE id = new.id; END"
        ),
        "CREATE VIEW attempts AS SELECT * FROM attempt",
        "CREATE TABLE notes (text)",
        "CREATE INDEX more ON attempt (status)",
        "ALTER TABLE attempt ADD COLUMN rate GENERATED ALWAYS AS (0)",
    ],
)
@pytest.mark.parametrize("write", [True, False])
def test_a_store_with_objects_of_somebody_else_is_refused(
    store: Store, path: Path, statement: str, write: bool
) -> None:
    store.close()
    with sqlite3.connect(path) as other:
        other.execute(statement)
    other.close()
    with pytest.raises(StoreError, match="tampered"):
        open_store(str(path), write=write)


def test_a_deleted_store_is_noticed_at_the_next_attempt(store: Store, path: Path) -> None:
    store.add_attempt(identity(0), attempt_result(), LEASE)
    path.unlink()
    with pytest.raises(StoreError, match="deleted or replaced"):
        store.add_attempt(identity(1), attempt_result(), LEASE)
    path.write_bytes(b"another file")
    with pytest.raises(StoreError, match="deleted or replaced"):
        store.end_run("abcd1234", RunStatus.COMPLETE)


def test_a_finished_store_on_read_only_media_is_read(store: Store, path: Path) -> None:
    store.add_attempt(identity(0), attempt_result(), LEASE)
    store.end_run("abcd1234", RunStatus.COMPLETE)
    store.close()
    code = (
        "from harness.store.open import open_store; "
        f"print(len(open_store({str(path)!r}, write=False).attempts('abcd1234')))"
    )
    mount = f"mount --bind {path.parent} {path.parent} && mount -o remount,bind,ro {path.parent}"
    script = f'{mount} && exec "$0" -c "$1"'
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script, sys.executable, code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no read-only mount here: {done.stderr.strip()}")
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


@pytest.mark.parametrize(
    ("column", "value"), [("plan", "{}x"), ("status", "splendid"), ("driver", "[1]")]
)
def test_a_damaged_value_of_a_run_is_one_line(
    store: Store, path: Path, column: str, value: str
) -> None:
    store.close()
    with sqlite3.connect(path) as other:
        other.execute(f"UPDATE run SET {column} = ?", (value,))
    other.close()
    with open_store(str(path), write=False) as damaged, pytest.raises(StoreError, match="damaged"):
        damaged.runs()


def test_a_damaged_plan_is_one_line() -> None:
    with pytest.raises(StoreError, match="plan is damaged"):
        plan_from_dict({})


def test_who_ran_a_run_and_why_it_ended_is_stored(store: Store) -> None:
    store.reopen_run("abcd1234", DriverIdentity("host", 42))
    store.end_run("abcd1234", RunStatus.INTERRUPTED, "SIGTERM")
    run = store.run("latest")
    assert (run.driver, run.ended_by) == (DriverIdentity("host", 42), "SIGTERM")

"""`harness prune` on a real store: files go before rows, and runs that go on stay."""

import fcntl
import os
import time
from pathlib import Path

import pytest

from harness.core.errors import StoreError, UsageError
from harness.core.evidence import FOLDER
from harness.core.exits import ExitCode
from harness.core.records import RunRecord
from harness.core.statuses import RunStatus
from harness.driver.commands.prune import PruneRequest, prune_runs
from harness.driver.disk import check_disk
from harness.store.open import open_store

DAY = 86_400.0


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_STATE", str(tmp_path / ".harness"))
    return tmp_path


def make_run(name: str, days: float) -> Path:
    ended = time.time() - days * DAY
    record = RunRecord(
        name, ended, 1, "cpu", {}, {"isolation": "spawn"}, {}, RunStatus.COMPLETE, ended
    )
    with open_store(".harness/store.sqlite", write=True) as store:
        store.add_run(record)
    attempt = Path(".harness/runs") / name / f"{name}.0"
    (attempt / FOLDER).mkdir(parents=True)
    (attempt / FOLDER / "stacks.txt").write_bytes(b"x" * 1000)
    (attempt / "rank0.log").write_bytes(b"x" * 500)
    return attempt


def list_stored() -> set[str]:
    with open_store(".harness/store.sqlite", write=False) as store:
        return {run.id for run in store.runs()}


def test_old_runs_go_whole() -> None:
    old, new = make_run("old", 40), make_run("new", 1)
    assert prune_runs(PruneRequest.read("30d", None, dry_run=False), None) == ExitCode.OK
    assert not old.parent.exists() and (new / FOLDER).is_dir()
    assert list_stored() == {"new"}


def test_a_dry_run_says_what_would_go_and_removes_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    attempt = make_run("old", 40)
    prune_runs(PruneRequest.read("30d", "0", dry_run=True), None)
    assert "would remove evidence of old: 1000 B" in capsys.readouterr().out
    assert (attempt / FOLDER / "stacks.txt").exists() and list_stored() == {"old"}


def test_a_limit_takes_evidence_before_logs() -> None:
    first, second = make_run("first", 2), make_run("second", 1)
    prune_runs(PruneRequest.read(None, "2100", dry_run=False), None)
    assert not (first / FOLDER).exists() and (first / "rank0.log").exists()
    assert (second / FOLDER).exists() and list_stored() == {"first", "second"}


def test_a_run_that_goes_on_is_left_alone() -> None:
    attempt = make_run("old", 40)
    lock = os.open(attempt.parent / "driver.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    prune_runs(PruneRequest.read("30d", None, dry_run=False), None)
    os.close(lock)
    assert (attempt / FOLDER).exists() and list_stored() == {"old"}


def test_folders_that_no_store_knows_go_by_their_age(place: Path) -> None:
    make_run("known", 1)
    unknown = place / ".harness/runs/unknown"
    unknown.mkdir()
    (unknown / "rank0.log").write_bytes(b"x")
    os.utime(unknown, (0, 0))
    outside = place / "outside"
    outside.mkdir()
    (place / ".harness/runs/link").symlink_to(outside)
    prune_runs(PruneRequest.read("30d", None, dry_run=False), None)
    assert not unknown.exists() and outside.is_dir()


def test_a_request_for_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="--older-than 30d"):
        PruneRequest.read(None, None, dry_run=False)


def test_a_run_is_refused_before_it_begins_if_the_disk_is_full(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_disk(place / "not" / "made" / "yet", 10)
    full = os.statvfs_result((4096, 4096, 1000, 10, 10, 100, 100, 100, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    with pytest.raises(StoreError, match="0 MiB free, and 10 attempts need"):
        check_disk(place, 10)


def test_without_any_store_only_forgotten_folders_go(place: Path) -> None:
    assert prune_runs(PruneRequest.read("30d", None, dry_run=False), None) == ExitCode.OK
    forgotten = place / ".harness/runs/gone"
    (forgotten / "gone.0").mkdir(parents=True)
    os.utime(forgotten, (0, 0))
    assert prune_runs(PruneRequest.read("30d", None, dry_run=False), None) == ExitCode.OK
    assert not forgotten.exists()


def test_a_store_that_cannot_be_read_protects_its_runs(place: Path) -> None:
    attempt = make_run("old", 40)
    (place / ".harness/store.sqlite").write_text("no database")
    with pytest.raises(StoreError):
        prune_runs(PruneRequest.read("30d", None, dry_run=False), None)
    assert (attempt / FOLDER).is_dir()

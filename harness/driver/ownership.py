"""A run has one driver at a time. The kernel keeps the lock, so a killed driver holds none."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from harness.core.errors import StoreError, UsageError
from harness.core.records import DriverIdentity, RunRecord
from harness.core.statuses import RunStatus
from harness.driver import messages
from harness.driver.context import find_run_folder

_LOCK = "driver.lock"


def identify_driver(folder: Path) -> DriverIdentity:
    """Return who this process is. `folder`: the run's."""
    return DriverIdentity(socket.gethostname(), os.getpid(), str(folder))


@contextlib.contextmanager
def own_run(record: RunRecord, folder: Path) -> Iterator[None]:
    """Be the run's driver while this is open. `folder`: the run's.

    Raise UsageError, naming the other one's host and process, if the run has a driver; StoreError
    if the folder cannot be made or written.
    """
    lock = _open_lock(folder)
    try:
        if not _try_lock(lock):
            who = record.driver
            raise UsageError(
                f"run {record.id} is being run by process {who.pid} on {who.host}"
                if who
                else f"run {record.id} is being run by another process"
            )
        yield
    finally:
        os.close(lock)


def _open_lock(folder: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder / _LOCK, flags, 0o644)
    except OSError as error:
        raise StoreError(
            f"the run's folder {folder} cannot be written: {error.strerror}; "
            "free the place, or choose another with --store"
        ) from None


def has_driver(folder: Path) -> bool:
    """Tell whether a live process runs the run whose folder this is."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        return not _try_lock(lock)
    finally:
        os.close(lock)


def is_abandoned(record: RunRecord) -> bool:
    """Tell whether a run is marked running although no live process here runs it."""
    return record.status is RunStatus.RUNNING and not has_driver(find_run_folder(record))


def describe_status(record: RunRecord) -> str:
    """Return how the run stands; one that is marked running may have lost its driver."""
    return messages.ABANDONED if is_abandoned(record) else record.status.value


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

"""A run has one driver at a time. The kernel keeps the lock, so a killed driver holds none."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from harness.core.errors import UsageError
from harness.core.records import DriverIdentity, RunRecord

_LOCK = "driver.lock"


def identify_driver() -> DriverIdentity:
    """Return who this process is."""
    return DriverIdentity(socket.gethostname(), os.getpid())


@contextlib.contextmanager
def own_run(record: RunRecord, folder: Path) -> Iterator[None]:
    """Be the run's driver while this is open. `folder`: the run's.

    Raise UsageError, naming the other one's host and process, if the run has a driver.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
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


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

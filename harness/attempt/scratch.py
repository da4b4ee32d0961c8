"""Temporary folders that are removed whichever way their owner ends.

The owner holds a lock on its folder, and the kernel gives the lock up when the owner's process is
gone. So a folder that can be locked has no owner any more, and whoever comes by removes it.
"""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

# Not longer: sockets' paths, which tests make below their TMPDIR, have at most 107 characters.
_PREFIX = "harness-tmp-"


class Scratch:
    """A temporary folder of this process. `close` removes it."""

    def __init__(self) -> None:
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
            self._lock = _open_folder(self.path)
            if self._take():
                return
            os.close(self._lock)  # somebody who cleans up was here before the lock

    def close(self) -> None:
        """Remove the folder and all in it."""
        remove_tree(self.path)
        os.close(self._lock)

    def _take(self) -> bool:
        try:
            return _lock(self._lock) and _is_at(self._lock, self.path)
        except OSError:  # a file system without locks, on which nobody can clean up either
            return True


def remove_abandoned() -> None:
    """Remove this user's temporary folders whose owners are gone."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):  # somebody else's, or removed meanwhile
            _remove_if_abandoned(path)


def remove_tree(path: Path) -> None:
    """Remove a folder, even if a test has taken the right to write away from parts of it."""
    shutil.rmtree(path, ignore_errors=True)
    if not path.is_dir():
        return
    with suppress(OSError):
        path.chmod(0o700)
    for parent, folders, _ in os.walk(path):
        for folder in (Path(parent, name) for name in folders):
            if not folder.is_symlink():
                with suppress(OSError):
                    folder.chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)


def _remove_if_abandoned(path: Path) -> None:
    folder = _open_folder(path)
    try:
        if os.fstat(folder).st_uid == os.geteuid() and _lock(folder) and _is_at(folder, path):
            remove_tree(path)
    finally:
        os.close(folder)


def _open_folder(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _lock(folder: int) -> bool:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(folder: int, path: Path) -> bool:
    """Return whether the open folder still has this path."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(folder), path.stat())
    return False

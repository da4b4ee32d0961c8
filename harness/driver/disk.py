"""Whether the disk has room for a run, looked at before it: a full disk would lose attempts."""

import os
import tempfile
from pathlib import Path

from harness.core.errors import StoreError

#: What a run needs at least, and each attempt with its logs, events and rows.
_RUN_BYTES = 64 << 20
_ATTEMPT_BYTES = 32 << 10


def check_disk(folder: Path, attempts: int) -> None:
    """Raise StoreError if the folder's disk, or the temporary one, has no room for the attempts."""
    needed = _RUN_BYTES + attempts * _ATTEMPT_BYTES
    for path in (_find_existing(folder), Path(tempfile.gettempdir())):
        found = os.statvfs(path)
        free = found.f_bavail * found.f_frsize
        if free < needed:
            raise StoreError(
                f"{path} has {free >> 20} MiB free, and {attempts} attempts need about "
                f"{needed >> 20} MiB: free some, for example with `harness prune --max-size 1G`"
            )


def _find_existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())

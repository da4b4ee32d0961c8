"""Where a store lies, and whether it can lie there."""

import os
from pathlib import Path

from harness.core.errors import NoStoreError, StoreError

#: SQLite's log needs shared memory, which these file systems do not give: it would be corrupted.
_NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "lustre", "ceph"}


def check_location(path: Path, *, write: bool) -> None:
    """Raise StoreError if no store can be read, or written, at this path.

    Make the folder if the store is to be written.
    """
    if write:
        _make_folder(path)
    elif not path.is_file():
        raise NoStoreError(f"no store at {path}; `harness run` makes one, --store names another")
    file_system = _find_file_system(path.absolute())
    if file_system in _NETWORK_FILE_SYSTEMS:
        raise StoreError(
            f"store {path} lies on {file_system}: SQLite's log needs a local disk; use --store"
        )


def is_read_only(path: Path) -> bool:
    """Tell whether neither the file nor its folder can be written, as on read-only media."""
    return not os.access(path, os.W_OK) or not os.access(path.absolute().parent, os.W_OK)


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"store {path} cannot be made: {error.strerror}; use --store") from None
    target = path if path.exists() else path.parent
    if not os.access(target, os.W_OK):
        raise StoreError(f"store {path} is not writable; choose another with --store")


def _find_file_system(path: Path) -> str:
    """Return the type of the mount that holds `path`, from the kernel's own table."""
    best, kind = "", ""
    for line in Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines():
        fields = line.split(" ")
        mount = fields[1].replace("\\040", " ")
        if path.is_relative_to(mount) and len(mount) > len(best):
            best, kind = mount, fields[2]
    return kind

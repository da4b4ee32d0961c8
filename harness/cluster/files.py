"""Files of an attempt that ran on another machine: read there, written here."""

from collections.abc import Mapping
from pathlib import Path

#: What one attempt may send in all. What goes beyond is left out, and says so in its place.
MAX_BYTES = 64 << 20


def read_files(folder: Path, limit: int = MAX_BYTES) -> dict[str, bytes]:
    """Return the folder's regular files by relative name, up to `limit` bytes in all."""
    files: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        size, name = path.stat().st_size, str(path.relative_to(folder))
        if size <= limit:
            files[name] = path.read_bytes()[:limit]
            limit -= size
        else:
            files[f"{name}.left-out"] = f"{size} bytes, too many to send\n".encode()
    return files


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files below the folder. Raise OSError; ValueError if a name leads out of it."""
    for name, data in files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"{name!r} leads out of the attempt's folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

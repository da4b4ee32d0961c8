"""Where a process writes what it observed: `PID.jsonl` in HARNESS_HOOK_FOLDER, one JSON line each.

The file is opened for each line. Programs close descriptors that they inherited, some close all,
and a fork must not write into its parent's file.
"""

from __future__ import annotations

import os
import sys
import time

#: One process writes no more; a last line says so.
MOST_BYTES = 4 << 20
_MOST_TEXT = 8192


class Channel:
    """Writes lines. Never raises: what is observed must not break what is measured."""

    def __init__(self, folder: str, rank: str) -> None:
        self.folder = folder
        self._rank = int(rank) if rank.isdigit() else 0
        self._full: set[int] = set()

    def emit(self, name: str, **keys: object) -> None:
        """Write one event `hook_NAME`. Keys are JSON values; others are written as their text."""
        pid = os.getpid()
        if not self.folder or pid in self._full:
            return
        try:
            self._append(pid, name, keys)
        except (OSError, ValueError, TypeError, RecursionError):
            return

    def emit_error(self, where: str, error: BaseException) -> None:
        """Write that something of the hook itself failed."""
        text = f"{where}: {type(error).__name__}: {error}"
        self.emit("error", text=text[:_MOST_TEXT])

    def _append(self, pid: int, name: str, keys: dict[str, object]) -> None:
        path = f"{self.folder}/{pid}.jsonl"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        fd = os.open(path, flags, 0o600)
        try:
            size = os.fstat(fd).st_size
            first = [] if size else [self._make_line(pid, "process", _describe_process())]
            if size > MOST_BYTES:
                self._full.add(pid)
                name, keys = "full", {"bytes": size}
            os.write(fd, b"".join([*first, self._make_line(pid, name, keys)]))
        finally:
            os.close(fd)

    def _make_line(self, pid: int, name: str, keys: dict[str, object]) -> bytes:
        import json  # not before something is written: most processes write nothing

        value = {"event": f"hook_{name}", "t": time.time(), "pid": pid, "rank": self._rank, **keys}
        return json.dumps(value, default=lambda other: str(other)[:_MOST_TEXT]).encode() + b"\n"


def _describe_process() -> dict[str, object]:
    """Return what tells this process from the others of its attempt."""
    arguments = [str(one)[:200] for one in getattr(sys, "argv", [])[:8]]
    return {"parent": os.getppid(), "python": sys.executable, "arguments": arguments}

"""The processes below this one, read from /proc: found and killed."""

import contextlib
import os
import signal
import time
from pathlib import Path

_PASSES = 5
_PAUSE_S = 0.05


def kill_descendants() -> None:
    """Kill every process below this one, stopped ones too, and collect those that are children."""
    for _ in range(_PASSES):
        found = find_descendants(os.getpid())
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        _collect_children(found)
        if not found:
            return
        time.sleep(_PAUSE_S)


def find_descendants(root: int) -> list[int]:
    """Return the live processes below `root`; zombies are not counted."""
    children: dict[int, list[int]] = {}
    for pid, parent in _list_processes():
        children.setdefault(parent, []).append(pid)
    found: list[int] = []
    waiting = [root]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _list_processes() -> list[tuple[int, int]]:
    """Return pid and parent of each process that is not a zombie."""
    processes = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                # The name may hold spaces and parentheses: what counts follows the last one.
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    processes.append((int(entry.name), int(parent)))
    return processes


def _collect_children(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)

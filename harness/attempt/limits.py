"""Keeps an attempt within its limits: by a control group of the kernel, else by looking.

A look every 0.1 s sees what is used, not what was asked for: between two looks an attempt may use
more. Neither RLIMIT_AS nor RLIMIT_NPROC will do: CUDA reserves address space that it never uses,
and the number of processes of a user counts those of all attempts.
"""

import os
import time
from contextlib import suppress
from pathlib import Path

from harness.attempt.control_group import ControlGroup
from harness.core.kinds import Kind
from harness.core.limits import LimitHit, Limits

LOOK_SECONDS = 0.1
_MIB = 1 << 20
_PAGE = os.sysconf("SC_PAGE_SIZE")


class LimitGuard:
    """Says when the processes below a keeper use more than one attempt may."""

    def __init__(self, limits: Limits, keeper: int, group: ControlGroup | None) -> None:
        self._limits = limits
        self._keeper = keeper
        self._group = group
        self._next_look = time.monotonic()

    def get_patience(self) -> float | None:
        """Return the seconds until the next look; None if there is nothing to look for."""
        return max(self._next_look - time.monotonic(), 0.0) if self._limits else None

    def look(self) -> LimitHit | None:
        """Return the limit that is exceeded now. Called at any time; looks only if it is due."""
        if not self._limits or time.monotonic() < self._next_look:
            return None
        self._next_look = time.monotonic() + LOOK_SECONDS
        return self._look_at_processes() or self.look_at_memory()

    def look_at_memory(self) -> LimitHit | None:
        """Return the memory limit if it is exceeded, or if the kernel has killed for it."""
        limit = self._limits.memory_bytes
        if limit is None:
            return None
        asked = f"--memory {limit / _MIB:.0f} MiB"
        if self._group is not None:
            if self._group.has_killed():
                return LimitHit(Kind.MEMORY_LIMIT, f"the kernel killed it at {asked}")
            return None
        pids = find_descendants(self._keeper)
        # Cheap first: resident memory counts shared pages more than once.
        if sum(map(_read_resident, pids)) <= limit:
            return None
        used = sum(map(_read_share, pids))
        if used <= limit:
            return None
        return LimitHit(Kind.MEMORY_LIMIT, f"it used {used / _MIB:.0f} MiB of {asked}")

    def _look_at_processes(self) -> LimitHit | None:
        limit = self._limits.processes
        if limit is None:
            return None
        found = len(find_descendants(self._keeper))
        if found <= limit:
            return None
        return LimitHit(Kind.PROCESS_LIMIT, f"it ran {found} processes, --max-processes {limit}")


def find_descendants(keeper: int) -> list[int]:
    """Return the processes of the attempt below a keeper, without a boundary's helper and init."""
    found = _list_children(keeper)
    for pid in found:
        found += _list_children(pid)
    ours = {pid for pid in found if _read_inner(pid) == 1}
    ours |= {_read_field(pid, "PPid") for pid in ours}
    return [pid for pid in found if pid not in ours]


def _list_children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def _read_inner(pid: int) -> int:
    """Return the pid as the process itself sees it; 0 if it has no namespace of its own."""
    values = _read_fields(pid, "NSpid")
    return int(values[-1]) if len(values) > 1 else 0


def _read_field(pid: int, name: str) -> int:
    values = _read_fields(pid, name)
    return int(values[0]) if values else 0


def _read_fields(pid: int, name: str) -> list[str]:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines():
            if line.startswith(f"{name}:"):
                return line.split()[1:]
    return []


def _read_resident(pid: int) -> int:
    with suppress(OSError, IndexError, ValueError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    return 0


def _read_share(pid: int) -> int:
    """Return the process's share of resident memory, in bytes: pages divided by their users."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0

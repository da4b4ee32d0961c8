"""A control group (cgroup v2) around one attempt's processes, where this process may make one.

The kernel then keeps the memory limit exactly, and kills every process of the group at it. Where
none can be made, the caller looks itself.
"""

import time
from contextlib import suppress
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_REMOVE_SECONDS = 1.0


class ControlGroup:
    """A group that limits memory. `close` removes it, and kills what is still in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def has_killed(self) -> bool:
        """Tell whether the kernel has killed a process of the group for memory."""
        with suppress(OSError):
            for line in (self.path / "memory.events").read_text().splitlines():
                name, _, value = line.partition(" ")
                if name == "oom_kill" and int(value):
                    return True
        return False

    def close(self) -> None:
        """Remove the group."""
        with suppress(OSError):
            (self.path / "cgroup.kill").write_text("1")
        deadline = time.monotonic() + _REMOVE_SECONDS
        while time.monotonic() < deadline:
            with suppress(OSError):
                self.path.rmdir()
            if not self.path.exists():
                return
            time.sleep(0.01)


def open_group(
    name: str, memory_bytes: int | None, root: Path = _ROOT, proc: Path = Path("/proc")
) -> ControlGroup | None:
    """Return a group that limits memory; None if no limit is asked for, or no group can be made."""
    if memory_bytes is None:
        return None
    for parent in _list_parents(root, proc):
        path = parent / f"harness-{name}"
        try:
            if "memory" not in (parent / "cgroup.subtree_control").read_text().split():
                continue
            path.mkdir()
            (path / "memory.max").write_text(str(memory_bytes))
            (path / "memory.oom.group").write_text("1")
        except OSError:
            with suppress(OSError):
                path.rmdir()
            continue
        with suppress(OSError):  # a kernel without swap accounting
            (path / "memory.swap.max").write_text("0")
        return ControlGroup(path)
    return None


def _list_parents(root: Path, proc: Path) -> list[Path]:
    """Return this process's own group, and the one around it: groups that may hold another."""
    lines = (proc / "self/cgroup").read_text().splitlines()
    inside = next((line[4:] for line in lines if line.startswith("0::/")), None)
    if inside is None:
        return []
    own = root / inside
    return [own, own.parent] if inside else [own]

"""How many processes the kernel has killed for memory: the one sender of SIGKILL that can be known.

Counters of the cgroup that this process is in, or of the whole machine if it has none.
"""

from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def count_oom_kills(root: Path = _ROOT, proc: Path = Path("/proc")) -> int:
    """Return the greatest counter that can be read; 0 if none can."""
    return max(_read_counters(root, proc), default=0)


def _read_counters(root: Path, proc: Path) -> Iterator[int]:
    files = [proc / "vmstat"]
    for line in _read_lines(proc / "self" / "cgroup"):
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        inside = path.lstrip("/")
        if not controllers:
            files += [root / inside / "memory.events", root / "memory.events"]
        elif "memory" in controllers.split(","):
            base = root / "memory"
            files += [base / inside / "memory.oom_control", base / "memory.oom_control"]
    for file in files:
        for line in _read_lines(file):
            name, _, value = line.partition(" ")
            if name == "oom_kill" and value.strip().isdigit():
                yield int(value)


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []

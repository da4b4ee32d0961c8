"""What Linux offers for keeping processes together: death signals, subreapers, the process tree."""

import ctypes
import os
import signal
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """Adopt descendants whose own parent died, instead of losing them to init."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int, number: int) -> None:
    """Have the kernel send this signal to this process once `parent` is gone."""
    request_death_signal(number)
    # The parent may have died before the call: then the signal never comes.
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def request_death_signal(number: int) -> None:
    """Have the kernel send this signal to this process once its parent is gone."""
    _prctl(_PR_SET_PDEATHSIG, number)


def join_group(path: str) -> None:
    """Move this process, and what it will start, into a control group."""
    (Path(path) / "cgroup.procs").write_text("0")


def reset_signals() -> None:
    """Undo in a fork of a keeper what the keeper has set up for itself."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def close_all_but(keep: Collection[int]) -> None:
    """Close every descriptor above 2 that is not to be kept."""
    for fd in [int(link.name) for link in Path("/proc/self/fd").iterdir()]:
        if fd > 2 and fd not in keep:
            with suppress(OSError):  # the listing's own descriptor is among them, and closed
                os.close(fd)


def count_threads() -> int:
    """Return the threads of this process; forking with more than one is not safe."""
    return len(list(Path("/proc/self/task").iterdir()))


def find_descendants(root: int) -> list[int]:
    """Return every process below `root`, whatever group or session it moved to."""
    children: dict[int, list[int]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        parent = _read_parent(process)
        if parent is not None:
            children.setdefault(parent, []).append(int(process.name))
    found = list(children.get(root, ()))
    for pid in found:
        found += children.get(pid, ())
    return found


def find_outside(init: int, inner: int) -> int:
    """Return the pid here of a process whose pid behind `init`'s boundary is given; 0 if none."""
    for pid in find_descendants(init):
        with suppress(OSError, StopIteration):
            lines = Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines()
            numbers = next(line for line in lines if line.startswith("NSpid:")).split()
            if numbers[-1] == str(inner):
                return pid
    return 0


def read_command_name(pid: int) -> str:
    """Return the short name of a process, or `?` if it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        return "?"


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def _read_parent(process: Path) -> int | None:
    try:
        stat = (process / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The name, in parentheses, may hold anything, parentheses too.
    return int(stat.rpartition(")")[2].split()[1])


def name_signal(number: int) -> str:
    """Return a signal's name, `SIG64` of one that has none."""
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no names
        return f"SIG{number}"

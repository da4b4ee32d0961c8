"""Processes and folders of a private Ray: found, named, ended, removed.

Each pool keeps its folder in the system's temporary folder, with a note of who owns it. A killed
driver's broker ends everything itself; if both were killed, the next pool does.
"""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.attempt.scratch import remove_abandoned

_PREFIX = "harness-ray-"
_NOTE = "owners.json"
#: Names the pool's folder in the environment of all that its broker starts.
POOL_VARIABLE = "HARNESS_POOL"
# Ray's sockets lie up to 66 characters below the folder, and a socket's path has at most 107.
_MAX_BASE_LENGTH = 107 - 66 - len(_PREFIX) - 10
_PR_SET_CHILD_SUBREAPER = 36
_SERVERS = ("raylet", "gcs_server")


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """What /proc says about a process. `started` is in clock ticks since boot."""

    pid: int
    name: str
    state: str
    parent: int
    session: int
    started: int
    threads: int = 1

    @property
    def is_gone(self) -> bool:
        """Whether it is a zombie. With threads that still end, it has its files open."""
        return self.state == "Z" and self.threads <= 1


def become_subreaper() -> None:
    """Adopt processes whose parent dies below this one, so that none is lost."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def make_folder() -> Path:
    """Make a pool's folder, after removing what earlier runs left whose owners are dead."""
    base = Path(tempfile.gettempdir())
    if len(str(base)) > _MAX_BASE_LENGTH:
        base = Path("/tmp")
    for old in base.glob(f"{_PREFIX}*"):
        _remove_if_abandoned(old)
    remove_abandoned()  # what their actors held until now
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))


def note_owners(folder: Path, broker: int) -> None:
    """Write down that this process and its broker own the folder."""
    owners = [stat for pid in (broker, os.getpid()) if (stat := read_stat(pid))]
    (folder / _NOTE).write_text(json.dumps([asdict(owner) for owner in owners]))


def remove_folder(folder: Path) -> None:
    """Remove a pool's folder. Ray's last writes may come in between."""
    for _ in range(3):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.05)


def read_processes() -> list[ProcessStat]:
    """Return every process that /proc shows."""
    pids = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    return [stat for pid in pids if (stat := read_stat(pid))]


def read_stat(pid: int) -> ProcessStat | None:
    """Return the process's state; None if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The name, in parentheses, may hold anything, parentheses too.
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    name = head.partition("(")[2]
    parent, session, threads, started = (int(fields[at]) for at in (1, 3, 17, 19))
    return ProcessStat(pid, name, fields[0], parent, session, started, threads)


def find_below(root: int) -> list[ProcessStat]:
    """Return the living processes below `root`, whatever session they moved to."""
    children: dict[int, list[ProcessStat]] = {}
    for process in read_processes():
        children.setdefault(process.parent, []).append(process)
    found = list(children.get(root, ()))
    for process in found:
        found += children.get(process.pid, ())
    return [process for process in found if not process.is_gone]


def kill_below(root: int, timeout_s: float = 2.0) -> None:
    """SIGKILL every process below `root` until none is left, or the time is up."""
    deadline = time.monotonic() + timeout_s
    while (found := find_below(root)) and time.monotonic() < deadline:
        for process in found:
            _kill(process.pid)
        time.sleep(0.01)


def kill_pool(folder: Path, broker: int | None, timeout_s: float = 2.0) -> None:
    """SIGKILL every process of a pool, wherever it moved to, until none is left or the time is up.

    That is the broker's session, if there may still be one, and what has inherited the mark in its
    environment.
    """
    mark = f"{POOL_VARIABLE}={folder}".encode()
    deadline = time.monotonic() + timeout_s
    while (found := _find_pool(mark, broker)) and time.monotonic() < deadline:
        for process in found:
            _kill(process.pid)
        time.sleep(0.01)


def _find_pool(mark: bytes, broker: int | None) -> list[ProcessStat]:
    others = [one for one in read_processes() if one.pid != os.getpid() and not one.is_gone]
    return [one for one in others if one.session == broker or _is_marked(one.pid, mark)]


def _is_marked(pid: int, mark: bytes) -> bool:
    with contextlib.suppress(OSError):
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False


def find_stopped_servers(root: int) -> set[str]:
    """Return name and pid of Ray's servers below `root` that are stopped, as by SIGSTOP."""
    return {
        f"{p.name} ({p.pid})" for p in find_below(root) if p.name in _SERVERS and p.state in "Tt"
    }


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _remove_if_abandoned(folder: Path) -> None:
    try:
        owners = [ProcessStat(**owner) for owner in json.loads((folder / _NOTE).read_text())]
    except (OSError, ValueError, TypeError):
        return  # another user's, or one that is being made
    if len(owners) != 2 or _lives(owners[1]):
        return
    if _lives(owners[0]):
        kill_below(owners[0].pid)
    now = read_stat(owners[0].pid)
    # The kernel gives no pid anew while a session has its number: another process, another session.
    is_anew = now is not None and now.started != owners[0].started
    kill_pool(folder, None if is_anew else owners[0].pid)
    remove_folder(folder)


def _lives(owner: ProcessStat) -> bool:
    now = read_stat(owner.pid)
    return now is not None and now.started == owner.started and now.state != "Z"

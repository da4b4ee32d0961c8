"""From the keeper to a rank: what the child does between the fork and its main function."""

import os
import signal
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from . import entry, processes

#: A child that could not even start leaves with it, as shells do.
EXIT_NOT_STARTED = 127


def start_rank(rank: dict[str, Any], fds: list[int], mode: str) -> int:
    """Fork one rank and return its pid. `fds`: the descriptors that its indices count into."""
    keeper = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        _become(rank, fds, keeper)
        if mode == "spawn":
            _execute(rank["python"], rank["args"])
        sys.path[:0] = [rank["cwd"]]
        entry.main(rank["args"])
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(EXIT_NOT_STARTED)


def _become(rank: dict[str, Any], fds: list[int], keeper: int) -> None:
    os.setsid()
    processes.die_with_parent(keeper, signal.SIGKILL)
    _redirect(rank["log"])
    _reset_signals()
    os.chdir(rank["cwd"])
    given = {name: [fds[i] for i in indices] for name, indices in rank["fds"].items()}
    _close_all_but({fd for numbers in given.values() for fd in numbers})
    os.environ.update(rank["env"])
    os.environ.update({name: ",".join(map(str, numbers)) for name, numbers in given.items()})


def _redirect(log: str) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(null, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _close_all_but(keep: set[int]) -> None:
    for fd in [int(link.name) for link in Path("/proc/self/fd").iterdir()]:
        if fd > 2 and fd not in keep:
            with suppress(OSError):  # the listing's own descriptor is among them, and closed
                os.close(fd)
    for fd in keep:
        os.set_inheritable(fd, True)


def _execute(python: str, arguments: list[str]) -> NoReturn:
    folder = Path(__file__).resolve().parent
    os.execv(python, [python, str(folder), "entry", *arguments])

"""From the keeper to a rank: what the child does between the fork and its main function."""

import itertools
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

from . import entry, hooking, processes, sandbox, words

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
            _execute(rank["python"], rank["args"], rank.get("under", []))
        sys.path[:0] = [rank["cwd"]]
        hooking.begin_hook(os.environ)
        entry.main(rank["args"])
    except BaseException:
        traceback.print_exc()
    finally:
        words.leave(EXIT_NOT_STARTED)


def _become(rank: dict[str, Any], fds: list[int], keeper: int) -> None:
    os.setsid()
    processes.die_with_parent(keeper, signal.SIGKILL)
    _redirect(fds[rank["log"]])
    processes.reset_signals()
    if rank.get("group") and not rank["confined"]:
        processes.join_group(rank["group"])
    os.chdir(rank["cwd"])
    if rank["confined"]:
        sandbox.drop_privileges()
    given = {name: [fds[i] for i in indices] for name, indices in rank["fds"].items()}
    processes.close_all_but({fd for numbers in given.values() for fd in numbers})
    os.environ.update(rank["env"])
    for fd in itertools.chain(*given.values()):
        os.set_inheritable(fd, True)
    os.environ.update({name: ",".join(map(str, numbers)) for name, numbers in given.items()})


def _redirect(log: int) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)


def _execute(python: str, arguments: list[str], under: list[str]) -> NoReturn:
    """`under`: the words of a program that runs the interpreter."""
    words = [*under, python, str(Path(__file__).resolve().parent), "entry", *arguments]
    os.execv(words[0], words)

"""An attempt with a person inside: rank 0 has the terminal, and no clock runs against it.

Without keeper, boundary, log or record: what comes of it is nobody's evidence.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from harness.attempt.launch import Launch
from harness.attempt.spec import AttemptSpec

_RANK_FOLDER = Path(__file__).resolve().parents[1] / "rank"
_LEAVE_SECONDS = 5.0
#: pytest-timeout's own variable, and what says to the rank that somebody answers a debugger.
_UNTIMED = {"PYTEST_TIMEOUT": "0", "HARNESS_ATTACHED": "1"}

#: Starts a program in the foreground: its words, environment, folder, inherited descriptors.
_Start = Callable[[dict[str, Any], dict[str, str], Sequence[int]], "subprocess.Popen[bytes]"]


def run_debugger(spec: AttemptSpec, environment: Mapping[str, str]) -> int:
    """Run the attempt's tests with pytest's debugger at the first failure. Return its status."""
    return _run_attached(spec, environment, _start_pytest)


def run_shell(spec: AttemptSpec, environment: Mapping[str, str]) -> int:
    """Run the user's shell with rank 0's environment, in its folder. Return its status."""
    return _run_attached(spec, environment, _start_shell)


def _run_attached(spec: AttemptSpec, environment: Mapping[str, str], start: _Start) -> int:
    with closing(Launch(spec, _UNTIMED, environment)) as launch:
        leading, *others = launch.ranks
        followers = [_start_follower(rank, launch, environment) for rank in others]
        fds = _name_descriptors(leading, launch.fds)
        values = {**environment, **leading["env"], **fds}
        # pytest's captures are for nobody: the terminal shows all as it comes.
        values.pop("HARNESS_WORDS", None)
        process = start(leading, values, launch.fds)
        _drain_events(launch.event_fds)
        launch.release()
        try:
            return _wait_in_foreground(process)
        finally:
            _end_followers(followers)


def _start_pytest(
    rank: dict[str, Any], values: dict[str, str], fds: Sequence[int]
) -> "subprocess.Popen[bytes]":
    arguments = [*rank["args"], "--pdb", "--capture=no"]
    words = [rank["python"], str(_RANK_FOLDER), "entry", *arguments]
    return subprocess.Popen(words, cwd=rank["cwd"], env=values, pass_fds=fds)


def _start_shell(
    rank: dict[str, Any],
    values: dict[str, str],
    fds: Sequence[int],  # noqa: ARG001 - a shell's programs must not hold the ranks' sockets
) -> "subprocess.Popen[bytes]":
    shell = values.get("SHELL") or "/bin/sh"
    return subprocess.Popen([shell, "-i"], cwd=rank["cwd"], env=values)


def _start_follower(
    rank: dict[str, Any], launch: Launch, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    values = {**environment, **rank["env"], **_name_descriptors(rank, launch.fds)}
    return subprocess.Popen(
        [rank["python"], str(_RANK_FOLDER), "entry"],
        cwd=rank["cwd"],
        env=values,
        stdin=subprocess.DEVNULL,
        pass_fds=launch.fds,
        start_new_session=True,  # the terminal's interrupt is for rank 0 alone
    )


def _name_descriptors(rank: dict[str, Any], fds: Sequence[int]) -> dict[str, str]:
    return {name: ",".join(str(fds[i]) for i in found) for name, found in rank["fds"].items()}


def _drain_events(fds: Sequence[int]) -> None:
    """Read what the ranks report, so that no full pipe stops them."""

    def read(fd: int) -> None:
        with suppress(OSError):
            while os.read(fd, 1 << 16):
                pass

    for fd in fds:
        own = os.dup(fd)
        os.set_blocking(own, True)
        threading.Thread(target=read, args=(own,), daemon=True).start()


def _wait_in_foreground(process: "subprocess.Popen[bytes]") -> int:
    """Wait for the person to be done. The terminal's interrupt is for the program inside."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, before)


def _end_followers(followers: Sequence["subprocess.Popen[bytes]"]) -> None:
    for process in followers:
        try:
            process.wait(_LEAVE_SECONDS)  # they leave at end of file
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

"""What the configuration has done around a suite in rank 0: commands before and after it.

Commands after the suite run whatever it ended with, a crash and the timeout's SIGTERM included: the
suite then runs in a child, and this process, its parent, ends as the child ended. Only SIGKILL, of
an interrupted run or after the grace, takes them along.
"""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from . import wire, words
from .exceptions import describe_text


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """How rank 0 runs the suite: HARNESS_SUITE, or pytest alone without it."""

    kind: str = "pytest"
    name: str = ""
    result: str = "exit-code"
    set_up: tuple[str, ...] = ()
    tear_down: tuple[str, ...] = ()


def read_suite_run(environ: Mapping[str, str]) -> SuiteRun:
    """Return what HARNESS_SUITE says."""
    given = json.loads(environ.get("HARNESS_SUITE") or "{}")
    return SuiteRun(
        **{**given, **{key: tuple(given.get(key, ())) for key in ("set_up", "tear_down")}}
    )


def run_between(suite: SuiteRun, run: Callable[[], int]) -> int:
    """Run the commands before, the suite, and the commands after. Return the exit status.

    If a command before the suite fails, the suite is not run, and the attempt has failed.
    """
    if not suite.tear_down:
        return _set_up(suite) or run()
    status = _run_in_child(lambda: _set_up(suite) or run())
    for command in suite.tear_down:
        if code := _run_command(command):
            wire.emit("note", text=f"teardown command {command!r} exited with {code}")
    if os.WIFSIGNALED(status):
        die_as(os.WTERMSIG(status))
    return os.waitstatus_to_exitcode(status)


def _set_up(suite: SuiteRun) -> int:
    for command in suite.set_up:
        if code := _run_command(command):
            text = f"setup command {command!r} exited with {code}"
            exc = {**describe_text(text), "types": ["SetupCommandFailed"]}
            wire.emit("collect_error", id=suite.name, exc=exc)
            wire.emit("finish", exitstatus=1, inside_seconds=0.0)
            return 1
    return 0


def _run_command(command: str) -> int:
    return subprocess.run(["sh", "-c", command], check=False).returncode


def _run_in_child(run: Callable[[], int]) -> int:
    """Return how a child that runs the suite ended, as `os.waitpid` says it."""
    child = os.fork()
    if not child:
        words.report_exits()  # of this process, which is now the suite's
        # SystemExit, of a suite that leaves by itself, must not reach this process's tear-down.
        try:
            status = run()
        except SystemExit as error:
            status = int(error.code) if isinstance(error.code, int) else int(error.code is not None)
        words.leave(status & 0xFF)
    # The group gets the timeout's SIGTERM, and the child prints its stacks and dies of it.
    signal.signal(signal.SIGTERM, lambda *_: _forward(child))
    return os.waitpid(child, 0)[1]


def _forward(child: int) -> None:
    try:
        os.kill(child, signal.SIGTERM)
    except ProcessLookupError:
        return


def die_as(number: int) -> NoReturn:
    """End this process by a signal, as a program that it ran was ended."""
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    words.leave(128 + number)

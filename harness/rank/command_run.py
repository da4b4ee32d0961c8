"""Runs any program as a suite: its result is its exit code, a JUnit file, or TAP on its stdout.

Nothing else that it prints is read: another tool's summary in its output means nothing.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import wire
from .exceptions import describe_text
from .suite_run import SuiteRun, die_as
from .test_results import FileTest, ResultFileError, read_junit, read_tap

#: Signals that end a program because of what it did. A shell reports them as 128 + number.
_CRASHES = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGKILL}
)
_CHUNK = 1 << 16
_MOST_TAP_BYTES = 16 << 20


def run_command(suite: SuiteRun, words: Sequence[str]) -> int:
    """Run the program, stream its tests, and return the exit status."""
    where = suite.result.removeprefix("junit:") if suite.result.startswith("junit:") else None
    before = _stamp(where)
    wire.emit("collected", tests=[suite.name])
    wire.emit("test_start", id=suite.name)
    _report(suite.name, "passed", None, "setup")
    start = time.perf_counter()
    code, printed = _execute(words, wants_output=suite.result == "tap")
    seconds = time.perf_counter() - start
    if (number := _find_signal(code)) is not None:
        die_as(number)
    tests, problem = _read_tests(suite.result, where, before, printed)
    problem = problem or _find_disagreement(code, tests)
    for test in tests:
        _emit_test(suite.name, test)
    _report(suite.name, "failed" if problem else "passed", problem, "call", seconds)
    wire.emit("test_end", id=suite.name)
    failed = bool(problem) or any(test.outcome == "failed" for test in tests)
    wire.emit("finish", exitstatus=int(failed), inside_seconds=seconds)
    return int(failed)


def _execute(words: Sequence[str], *, wants_output: bool) -> tuple[int, bytes]:
    """Return the exit code, and what the program printed to stdout if that is wanted."""
    sys.stdout.flush()
    try:
        process = subprocess.Popen(words, stdout=subprocess.PIPE if wants_output else None)
    except OSError as error:
        sys.stderr.write(f"{words[0]}: {error.strerror}\n")
        return 127, b""
    printed = bytearray()
    if process.stdout is not None:
        while chunk := os.read(process.stdout.fileno(), _CHUNK):
            os.write(1, chunk)
            printed += chunk[: _MOST_TAP_BYTES - len(printed)]
    return process.wait(), bytes(printed)


def _find_signal(code: int) -> int | None:
    if code < 0:
        return -code
    return code - 128 if code - 128 in _CRASHES else None


def _read_tests(
    result: str, where: str | None, before: tuple[int, int] | None, printed: bytes
) -> tuple[list[FileTest], str | None]:
    """Return the tests of the result, and why it is none."""
    try:
        if result == "tap":
            return read_tap(printed.decode(errors="replace")), None
        if where is None:
            return [], None
        if _stamp(where) in (None, before):
            return [], f"the command wrote no result: {where} was not written"
        return read_junit(Path(where)), None
    except ResultFileError as error:
        return [], str(error)


def _find_disagreement(code: int, tests: Sequence[FileTest]) -> str | None:
    """Return what is wrong beside the tests: an exit code that they do not explain."""
    failed = sum(test.outcome == "failed" for test in tests)
    if code and not failed:
        return f"the command exited with {code}" + (
            f", but its {len(tests)} reported tests passed" if tests else ""
        )
    if failed and not code:
        wire.emit("note", text=f"the command exited with 0 although {failed} of its tests failed")
    return None


def _stamp(where: str | None) -> tuple[int, int] | None:
    """Return what changes if a file is written; None if there is none."""
    try:
        found = Path(where or "").stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _emit_test(suite: str, test: FileTest) -> None:
    name = f"{suite}::{test.name}"
    wire.emit("test_start", id=name)
    _report(name, test.outcome, test.message, "call", test.seconds)
    wire.emit("test_end", id=name)


def _report(name: str, outcome: str, message: str | None, when: str, seconds: float = 0.0) -> None:
    exc = None
    if outcome == "failed":
        text = message or "failed without a message"
        exc = {
            **describe_text(text),
            "types": ["AssertionError" if "::" in name else "CommandFailed"],
        }
    wire.emit(
        *("report",), id=name, when=when, outcome=outcome, seconds=seconds, exc=exc,
        subtest=None, class_setup=False,
    )  # fmt: skip

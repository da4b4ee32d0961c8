"""Runs a file of unittest test cases as `python FILE` would, and streams what its tests do."""

import runpy
import sys
import time
import unittest
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from . import wire
from .exceptions import describe, describe_text

_IDS_PER_EVENT = 500


def run_unittest(arguments: Sequence[str]) -> int:
    """Run the file, the first argument, with the others as its own. Return the exit status."""
    file = arguments[0]
    _Result.file = file
    runner: Any = unittest.TextTestRunner
    runner.resultclass = _Result
    runner.run = _announce(runner.run)
    sys.argv = list(arguments)
    sys.path[0] = str(Path(file).resolve().parent)
    start = time.perf_counter()
    status = _execute(file)
    if status and not _Result.told:
        text = f"{file} left with status {status} and ran no test"
        wire.emit("collect_error", id=file, exc=describe_text(text))
    wire.emit("finish", exitstatus=status, inside_seconds=time.perf_counter() - start)
    return status


def _execute(file: str) -> int:
    try:
        runpy.run_path(file, run_name="__main__")
    except SystemExit as error:
        return int(error.code) if isinstance(error.code, int) else int(error.code is not None)
    except BaseException as error:
        wire.emit("collect_error", id=file, exc=describe(error))
        _Result.told = True
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    return 0


def _announce(run: Any) -> Any:
    """Return the runner's `run`, which says first which tests there are."""

    def announce(self: Any, test: Any) -> Any:
        ids = [_name(one) for one in _walk(test)]
        for start in range(0, max(len(ids), 1), _IDS_PER_EVENT):
            wire.emit("collected", tests=ids[start : start + _IDS_PER_EVENT])
        return run(self, test)

    return announce


def _walk(test: Any) -> Iterator[unittest.TestCase]:
    if isinstance(test, unittest.TestSuite):
        for one in test:
            yield from _walk(one)
    else:
        yield test


def _name(test: Any) -> str:
    method = getattr(test, "_testMethodName", None)
    inside = (type(test).__qualname__, method) if method else (str(test),)
    return "::".join((_Result.file, *inside))


class _Result(unittest.TextTestResult):
    """unittest's own result, which also streams."""

    file = ""
    told = False
    """Whether anything was told of the file: a test that ran, or why none could."""

    def startTest(self, test: Any) -> None:  # noqa: N802 - unittest calls it so
        super().startTest(test)
        _Result.told = True
        self._began = time.perf_counter()
        wire.emit("test_start", id=_name(test))
        self._report(test, "passed", None, when="setup")

    def stopTest(self, test: Any) -> None:  # noqa: N802 - unittest calls it so
        super().stopTest(test)
        wire.emit("test_end", id=_name(test))

    def addSuccess(self, test: Any) -> None:  # noqa: N802 - unittest calls it so
        super().addSuccess(test)
        self._report(test, "passed", None)

    def addError(self, test: Any, err: Any) -> None:  # noqa: N802 - unittest calls it so
        super().addError(test, err)
        if not hasattr(test, "_testMethodName"):
            self._report_class(str(test), err)
        else:
            self._report(test, "failed", describe(err[1]))

    def addFailure(self, test: Any, err: Any) -> None:  # noqa: N802 - unittest calls it so
        super().addFailure(test, err)
        self._report(test, "failed", describe(err[1]))

    def addSkip(self, test: Any, reason: str) -> None:  # noqa: N802 - unittest calls it so
        super().addSkip(test, reason)
        if hasattr(test, "_testMethodName"):
            self._report(test, "skipped", None)

    def addExpectedFailure(self, test: Any, err: Any) -> None:  # noqa: N802 - unittest calls it so
        super().addExpectedFailure(test, err)
        self._report(test, "skipped", None)

    def addUnexpectedSuccess(self, test: Any) -> None:  # noqa: N802 - unittest calls it so
        super().addUnexpectedSuccess(test)
        self._report(test, "failed", _as_assertion("Unexpected success"))

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:  # noqa: N802 - unittest calls it so
        super().addSubTest(test, subtest, err)
        outcome = "failed" if err else "passed"
        text = subtest._subDescription()
        self._report(test, outcome, describe(err[1]) if err else None, subtest=text)

    def _report_class(self, what: str, err: Any) -> None:
        """Report what failed around a class's or the module's tests: `setUpClass (m.Class)`."""
        method, _, inside = what.partition(" (")
        owner = inside.rstrip(")").rpartition(".")[2]
        where = "::".join(part for part in (self.file, owner) if part)
        if method.startswith("setUp"):
            wire.emit("collect_error", id=where, exc=describe(err[1]))
            _Result.told = True
            return
        test = f"{where}::{method}"
        wire.emit("test_start", id=test)
        wire.emit(
            *("report",), id=test, when="teardown", outcome="failed", seconds=0.0,
            exc=describe(err[1]), subtest=None, class_setup=False,
        )  # fmt: skip
        wire.emit("test_end", id=test)

    def _report(
        self, test: Any, outcome: str, exc: Any, *, when: str = "call", subtest: str | None = None
    ) -> None:
        seconds = time.perf_counter() - self._began if when == "call" else 0.0
        wire.emit(
            *("report",), id=_name(test), when=when, outcome=outcome, seconds=seconds, exc=exc,
            subtest=subtest, class_setup=False,
        )  # fmt: skip


def _as_assertion(text: str) -> dict[str, Any]:
    return {**describe_text(text), "types": ["AssertionError", "Exception", "BaseException"]}

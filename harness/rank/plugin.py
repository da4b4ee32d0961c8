"""The pytest plugin of rank 0: streams what pytest knows, as it happens, and decides nothing.

Every report of every phase goes out, because the last one alone misleads: a test whose subtest
failed may report that it passed, and a set-up that failed and was rerun leaves one rerun report.
"""

import json
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from . import reads
from .exceptions import ExcDict, describe, describe_report, describe_text
from .imports import list_changed_variables
from .wire import emit
from .words import FailedOutput, HeldRecords, hold_records, report_thread_errors

# A line of the wire is bounded; a suite's list of ids is not.
_IDS_PER_EVENT = 500


class WirePlugin:
    """Register one instance with `pytest.main(plugins=[...])`."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.own_folders: set[Path] = set()
        """The folders of the suite: what they hold is never imported in advance."""
        self.changed_variables: list[str] = []
        """Environment variables that the suite changed while it was imported."""
        self._environ = environ
        self._output = FailedOutput()
        self._records: HeldRecords | None = None
        # Held, not only named by id(): pytest raises the same object again for each test of the
        # class, and an id must not be given to another exception in between.
        self._shared_failures: list[BaseException] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_cmdline_parse(self) -> Generator[None, object, object]:
        """Called around the reading of arguments, configuration and first conftest files."""
        with _say_usage_errors():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_cmdline_main(self) -> Generator[None, object, object]:
        """Called around the whole session, which finds out what does not exist."""
        with _say_usage_errors():
            return (yield)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Called once pytest's own plugins are set up, among them the one that hears threads."""
        report_thread_errors()
        self._records = hold_records(session.config)

    def pytest_unconfigure(self) -> None:
        """Called at the end of a session that ends as it should."""
        if self._records is not None:
            self._records.close()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Called once all is collected. Drops what HARNESS_DESELECT names.

        pytest's own --deselect compares with ids below a root folder that only pytest knows.
        """
        barred = [
            (Path(path).resolve(), rest)
            for name in json.loads(os.environ.get("HARNESS_DESELECT", "[]"))
            for path, _, rest in [name.partition("::")]
        ]
        dropped = [item for item in items if any(_is_under(item, *one) for one in barred)]
        if dropped:
            config.hook.pytest_deselected(items=dropped)
            items[:] = [item for item in items if item not in dropped]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Called after collection and deselection."""
        self.own_folders = {session.config.rootpath, *(i.path.parent for i in session.items)}
        read = reads.has_read_cell()
        self.changed_variables = list_changed_variables(self._environ)
        if not read:
            reads.forget_cell()
        ids = [item.nodeid for item in session.items]
        for start in range(0, max(len(ids), 1), _IDS_PER_EVENT):
            emit("collected", tests=ids[start : start + _IDS_PER_EVENT])

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self,
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Called around each collection; the exception is gone once it returned."""
        report = yield
        call: pytest.CallInfo[object] | None = getattr(report, "call", None)
        if call is not None and call.excinfo is not None:
            error = call.excinfo.value
            # pytest wraps an import that failed in a text of its own.
            vars(report).update(harness_exc=describe(error.__cause__ or error))
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Called for each module and class that was collected, or could not be."""
        if report.failed:
            emit("collect_error", id=report.nodeid, exc=_exc(report))

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Called when pytest or a plugin of it broke."""
        emit("note", text=f"pytest internal error: {excinfo.exconly()}")

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Called when a KeyboardInterrupt, or `pytest.exit`, ends the session."""
        emit("session_end", exc=describe(excinfo.value))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Called before a test's set-up, once, however often it is rerun."""
        emit("test_start", id=nodeid)
        if self._records is not None:
            self._records.begin_test()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Called after a test's teardown, its last rerun included."""
        emit("test_end", id=nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, object, object]:
        """Called around each fixture; setUpClass and setup_module are fixtures to pytest."""
        try:
            return (yield)
        except BaseException as error:
            if fixturedef.scope != "function":
                self._shared_failures.append(error)
            raise

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Called to make each report; subtests copy its attributes into their own."""
        report = yield
        if call.excinfo is not None:
            error = call.excinfo.value
            shared = any(error is known for known in self._shared_failures)
            vars(report).update(harness_exc=describe(error), harness_class_setup=shared)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called with every report, of subtests and reruns too."""
        bad = report.outcome not in ("passed", "skipped")
        emit(
            "report",
            id=report.nodeid,
            when=report.when,
            outcome=report.outcome,
            seconds=report.duration,
            exc=_exc(report),
            subtest=_subtest(report),
            class_setup=_is_class_setup(report),
            output=self._output.keep(report.sections) if bad else None,
        )


@contextmanager
def _say_usage_errors() -> Iterator[None]:
    """Send what pytest ends with status 4 for, in its own words."""
    try:
        yield
    except Exception as error:
        # pytest wraps what a conftest file raised in an exception of its own, which is not public.
        if isinstance(error, pytest.UsageError) or hasattr(error, "path"):
            emit("collect_error", id="", exc=describe(getattr(error, "cause", error)))
        raise


def _exc(report: pytest.TestReport | pytest.CollectReport) -> ExcDict | None:
    exc: ExcDict | None = getattr(report, "harness_exc", None)
    if exc is None and report.failed:
        return describe_report(report.longrepr) or describe_text(_get_text(report))
    return exc


def _get_text(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return what the report says. xdist's would begin with the worker's name and platform."""
    return report.longrepr if isinstance(report.longrepr, str) else report.longreprtext


def _is_class_setup(report: pytest.TestReport) -> bool:
    shared = bool(getattr(report, "harness_class_setup", False))
    return shared and report.when == "setup" and report.outcome != "skipped"


def _subtest(report: pytest.TestReport) -> str | None:
    context = getattr(report, "context", None)
    if context is None:
        return None
    parts = [context.msg] if context.msg else []
    parts += [f"{key}={value}" for key, value in context.kwargs.items()]
    return ", ".join(parts) or "subtest"


def _is_under(item: pytest.Item, path: Path, rest: str) -> bool:
    """Whether the item stands in this file, in this class or as this test."""
    inside = item.nodeid.partition("::")[2]
    return item.path.resolve() == path and (inside == rest or inside.startswith(f"{rest}::"))

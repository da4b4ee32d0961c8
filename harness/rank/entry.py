"""One rank's main function: rank 0 runs pytest, the others the follower."""

import contextlib
import faulthandler
import importlib
import io
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from . import command_run, context, imports, reads, unittest_run, wire, words, worktree
from .exceptions import describe
from .leaving import finish_interpreter
from .suite_run import read_suite_run, run_between

if TYPE_CHECKING:
    from .plugin import WirePlugin

_DEFAULT_FOLLOWER = "harness.engine.follower:main"
_NAMES_PER_EVENT = 2000
_FD_VARIABLES = ("HARNESS_EVENTS_FD", "HARNESS_CONTROL_FDS", "HARNESS_BARRIER_FDS")


def main(arguments: Sequence[str]) -> NoReturn:
    """Run this rank, with pytest's arguments where it is rank 0, and leave the process."""
    _prepare()
    wire.emit("hello", v=1, pid=os.getpid())
    leading = os.environ.get("HARNESS_RANK", "0") == "0"
    _leave(_lead(arguments) if leading else _follow())


def _prepare() -> None:
    wire.configure(None)
    worktree.redirect_imports(os.environ)
    # A module that was preloaded before the fork may have cached the keeper's folder.
    tempfile.tempdir = None
    # Taken before pytest captures descriptors, which swallow what a passing set-up prints.
    log = os.dup(1)
    os.environ["HARNESS_LOG_FD"] = str(log)
    # The watchdog's SIGTERM leaves the stacks of a hang in the log, and then kills.
    faulthandler.register(signal.SIGTERM, file=log, all_threads=True, chain=True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)  # a crash must not take the last lines along
    _keep_descriptors_private()
    _refuse_breakpoints()
    if os.environ.get("HARNESS_OPEN_CONTEXT"):
        context.open_context()
    words.report_signals()
    words.report_exits()


class StrayBreakpointError(Exception):
    """A test called breakpoint() where nobody can answer a debugger."""


def _refuse_breakpoints() -> None:
    """Make a stray breakpoint() fail by its name; whoever sets PYTHONBREAKPOINT decides instead."""
    if "PYTHONBREAKPOINT" not in os.environ and "HARNESS_ATTACHED" not in os.environ:
        sys.breakpointhook = _raise_stray_breakpoint


def _raise_stray_breakpoint(*_: object, **__: object) -> NoReturn:
    raise StrayBreakpointError("breakpoint() was called, and no terminal is attached to this rank")


def _keep_descriptors_private() -> None:
    """Programs that a test executes get none of ours, or they would hold a peer's socket open."""
    for name in _FD_VARIABLES:
        for fd in filter(str.isdigit, os.environ.get(name, "").split(",")):
            with contextlib.suppress(OSError):
                os.set_inheritable(int(fd), False)


def _lead(arguments: Sequence[str]) -> int:
    suite = read_suite_run(os.environ)
    if suite.kind == "command":
        return run_between(suite, lambda: command_run.run_command(suite, arguments))
    if suite.kind == "unittest":
        return run_between(suite, lambda: unittest_run.run_unittest(arguments))
    return run_between(suite, lambda: _run_pytest(arguments))


def _run_pytest(arguments: Sequence[str]) -> int:
    import pytest

    from .plugin import WirePlugin

    before, environ = {*sys.modules}, dict(os.environ)
    if folder := os.environ.get(words.FOLDER_VARIABLE):
        words.keep_captures(folder)
    sys.argv = ["pytest", *arguments]
    plugin = WirePlugin(environ)
    reads.watch()
    start = time.perf_counter()
    ours = [*_choose_cache(), *worktree.make_pytest_arguments(os.environ)]
    status = pytest.main([*arguments, *ours], plugins=[plugin])
    seconds = time.perf_counter() - start
    _say_unread(environ)
    for name in worktree.find_strays(os.environ):
        wire.emit("note", text=f"{name} was imported from the checkout, not from the revision")
    if os.environ.get("HARNESS_REPORT_IMPORTS"):
        _report_imports(before, plugin)
    wire.emit("finish", exitstatus=int(status), inside_seconds=seconds)
    return int(status)


def _choose_cache() -> list[str]:
    """Give pytest a cache of the attempt's own: it would carry failures into the next attempt."""
    folder = os.environ.get("TMPDIR")
    return ["-o", f"cache_dir={folder}/pytest-cache"] if folder else ["-p", "no:cacheprovider"]


def _say_unread(environ: dict[str, str]) -> None:
    """Say which axes of the cell nothing here has read: they made no difference."""
    unread = reads.list_unread_axes(
        environ.get("HARNESS_CELL", ""), environ.get("HARNESS_OVERLAID", "")
    )
    if unread and not reads.has_read_cell():
        wire.emit("note", text=f"never read by the suite: axis {', '.join(unread)}")


def _report_imports(before: set[str], plugin: "WirePlugin") -> None:
    """Say what a zygote could have imported; a long list takes several events."""
    names = imports.list_imported(before, {Path.cwd(), *plugin.own_folders})
    for start in range(0, max(len(names), 1), _NAMES_PER_EVENT):
        wire.emit("imports", modules=names[start : start + _NAMES_PER_EVENT])
    packages = imports.fingerprint_packages()
    rewritten = imports.list_rewritten(names)[:_NAMES_PER_EVENT]
    changed = plugin.changed_variables
    wire.emit("imported", changed=changed, packages=packages, rewritten=rewritten)


def _follow() -> int:
    module, _, name = os.environ.get("HARNESS_FOLLOWER", _DEFAULT_FOLLOWER).partition(":")
    try:
        result = getattr(importlib.import_module(module), name)()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException as error:
        traceback.print_exc()
        wire.emit("follower_error", exc=describe(error))
        return 1
    return result if isinstance(result, int) else 0


def _leave(status: int) -> NoReturn:
    """Leave at once, unless the suite's own command would go through the interpreter's end."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    if os.environ.get("HARNESS_RANK", "0") == "0" and "WORLD_SIZE" not in os.environ:
        finish_interpreter(status & 0xFF)
    words.leave(status & 0xFF)

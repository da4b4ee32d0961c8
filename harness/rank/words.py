"""Last words: what pytest holds for a test lies in named files, so that it survives this process.

pytest redirects a test's output, and that of its children, to files without a name, which die with
the process. Here they have names, in a folder that the supervisor reads when the attempt is over.
"""

import io
import logging
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from .exceptions import describe
from .wire import emit

FOLDER_VARIABLE = "HARNESS_WORDS"

#: What pytest had taken out of a capture before: so much of it is kept, twice.
_BEFORE_BYTES = 4 << 20
#: What the output of one failed test may take, and of all of them.
_TEST_BYTES, _ALL_BYTES = 64 << 20, 256 << 20
_MOST_FRAMES = 8
#: What is kept of one test's log records.
_RECORD_BYTES = 4 << 20


class KeptFile(io.FileIO):
    """The file of one capture. What pytest takes out of it goes to a second file, with a limit."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w+")
        self._path, self._before = path, path.with_suffix(".before")
        self._owner = os.getpid()

    def truncate(self, size: int | None = None) -> int:
        """Called once pytest has read what a phase of a test printed."""
        with suppress(OSError):  # a full disk costs evidence, never the test
            self._keep_before()
        return super().truncate(size)

    def close(self) -> None:
        """Called when a capture ends as it should: then nobody needs its file."""
        if not self.closed and os.getpid() == self._owner:
            for path in (self._path, self._before, self._before.with_suffix(".older")):
                path.unlink(missing_ok=True)
        super().close()

    def _keep_before(self) -> None:
        size = os.fstat(self.fileno()).st_size
        start = max(0, size - _BEFORE_BYTES)
        with self._before.open("ab") as kept:
            while start < size:
                start += os.sendfile(kept.fileno(), self.fileno(), start, size - start)
            is_full = kept.tell() > _BEFORE_BYTES
        if is_full:
            self._before.replace(self._before.with_suffix(".older"))


def keep_captures(folder: str) -> None:
    """Have every capture of this process's pytest write to a named file in that folder."""
    from _pytest import capture

    count = 0

    def open_named(**_: Any) -> io.FileIO:
        nonlocal count
        count += 1
        return KeptFile(Path(folder) / f"capture-{count}")

    if hasattr(capture, "TemporaryFile"):
        vars(capture)["TemporaryFile"] = open_named
    else:
        emit("note", text="this pytest captures in another way: a killed test's output is lost")


class HeldRecords:
    """Writes what pytest holds of logging's records into a file too, those of the running test."""

    def __init__(self, folder: str) -> None:
        self._path = Path(folder) / "capture-0"
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
        self._left = _RECORD_BYTES

    def watch(self, handler: logging.Handler) -> None:
        """Take every record that the handler is given."""
        inner = handler.emit

        def keep_and_emit(record: logging.LogRecord) -> None:
            if self._left > 0:
                with suppress(Exception):  # a message that cannot be formatted is pytest's to tell
                    text = handler.format(record)[: self._left] + "\n"
                    self._left -= os.write(self._fd, text.encode("utf-8", "replace"))
            inner(record)

        vars(handler)["emit"] = keep_and_emit

    def begin_test(self) -> None:
        """Forget the records of the test before."""
        if self._left < _RECORD_BYTES:
            os.ftruncate(self._fd, 0)
            self._left = _RECORD_BYTES

    def close(self) -> None:
        """Remove the file: the session has ended as it should."""
        self._path.unlink(missing_ok=True)


def hold_records(config: Any) -> HeldRecords | None:
    """Keep the records that pytest's own plugin for logging holds; None without it."""
    folder, plugin = (
        os.environ.get(FOLDER_VARIABLE),
        config.pluginmanager.get_plugin("logging-plugin"),
    )
    handler = getattr(plugin, "report_handler", None)
    if not folder or not isinstance(handler, logging.Handler):
        return None
    with suppress(OSError):
        held = HeldRecords(folder)
        held.watch(handler)
        return held
    return None


class FailedOutput:
    """Writes what failed tests had printed into files, for the supervisor to look for causes."""

    def __init__(self) -> None:
        self._folder = os.environ.get(FOLDER_VARIABLE)
        self._count = 0
        self._left = _ALL_BYTES

    def keep(self, sections: Sequence[tuple[str, str]]) -> str | None:
        """Write a failed test's captured output. Return the file's name; None for no output."""
        # What stderr holds says most, and its last line is looked at if no line names a cause.
        ordered = sorted(sections, key=lambda section: "stderr" in section[0])
        texts = [text for title, text in ordered if title.startswith("Captured ") and text.strip()]
        if not self._folder or not texts or self._left <= 0:
            return None
        self._count += 1
        name = f"test-{self._count}"
        with suppress(OSError), (Path(self._folder) / name).open("wb") as file:
            for text in texts:
                data = text.encode("utf-8", "replace")[: min(_TEST_BYTES, self._left)]
                self._left -= file.write(data + b"\n")
        return name


#: Signals that a process says it sends; the rest are not said.
_signals_left = [100]


def report_signals() -> None:
    """Say who in this process, or in a fork of it, sends a signal: its victim cannot say it."""
    sys.addaudithook(_hear)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("os.kill", "os.killpg") and arguments[1] and _signals_left[0]:
        _signals_left[0] -= 1
        target = -arguments[0] if event == "os.killpg" else arguments[0]
        emit("signal_sent", to=target, signal=int(arguments[1]), by=os.getpid(), frames=_frames())


#: The way out without a word, for this project's own end of a rank.
leave = os._exit


def report_exits() -> None:
    """Say where this process leaves by `os._exit`: nothing else would."""
    owner = os.getpid()

    def say_and_leave(status: int) -> None:
        if os.getpid() == owner:
            emit("leaving", status=status, frames=_frames())
        leave(status)

    # Pickled by its name, as the function that it stands for: executors are given it as a task.
    say_and_leave.__module__, say_and_leave.__name__ = "os", "_exit"
    say_and_leave.__qualname__ = "_exit"
    vars(os)["_exit"] = say_and_leave


def report_thread_errors() -> None:
    """Say at once what ends a thread: pytest keeps it for the end of a test that may never come."""
    inner = threading.excepthook

    def say(arguments: threading.ExceptHookArgs, /) -> None:
        if arguments.exc_value is not None:
            name = arguments.thread.name if arguments.thread else "a thread"
            emit("thread_error", thread=name, exc=describe(arguments.exc_value))
        inner(arguments)

    threading.excepthook = say


def _frames() -> list[dict[str, object]]:
    """Return the calls that led to the caller's caller, the innermost last."""
    walked = traceback.walk_stack(sys._getframe(2))
    found = traceback.StackSummary.extract(walked, limit=_MOST_FRAMES, lookup_lines=False)
    return [
        {"file": frame.filename, "line": frame.lineno, "function": frame.name}
        for frame in reversed(found)
    ]

"""End signals and closed pipes: each ends a run as Ctrl-C does, and no process is left behind.

The first signal raises `Interrupted` in the main thread. A thread of its own sees the signal even
while the main thread waits in a library, and once the time is up it kills every process below this
one; if the report is out by then, it ends this process too. A second signal shortens the time.
"""

import contextlib
import ctypes
import os
import select
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

from harness.core.exits import ExitCode
from harness.driver.descendants import kill_descendants

#: From the first signal until whatever still lives is killed; from a second one.
KILL_AFTER_S = 3.5
HURRY_S = 0.5
#: How much longer the table and the files may take to be written.
_REPORT_S = 20.0

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_CHILD_SUBREAPER = 36

CLOSED_PIPE = "closed output pipe"


class Interrupted(KeyboardInterrupt):
    """The run is to end. The text is the cause: a signal's name, or a closed output pipe."""


class Interruption:
    """What this process knows about being ended."""

    def __init__(self) -> None:
        self.cause: str | None = None
        self.reported = threading.Event()
        self._sockets: tuple[socket.socket, socket.socket] | None = None
        self._previous: dict[signal.Signals, object] = {}
        self._closed = False

    def install(self) -> None:
        """Handle and watch for end signals; those that a parent ignores, as nohup does, stay so.

        Called again once Ray has started, because Ray handles SIGTERM in its own way.
        """
        if self._sockets is None:
            self._sockets = socket.socketpair()
            self._sockets[1].setblocking(False)
            threading.Thread(target=self._watch, args=(self._sockets[0],), daemon=True).start()
        for number in _SIGNALS:
            self._previous.setdefault(number, signal.getsignal(number))
            if self._previous[number] is not signal.SIG_IGN:
                signal.signal(number, self._handle)
        signal.set_wakeup_fd(self._sockets[1].fileno(), warn_on_full_buffer=False)

    def raise_if_pipe_closed(self) -> None:
        """Raise Interrupted if nobody reads what is printed any more."""
        if self.cause is None and _find_closed_pipes():
            self.cause = CLOSED_PIPE
            raise Interrupted(CLOSED_PIPE)

    def close(self) -> None:
        """Give the signals back."""
        self._closed = True
        signal.set_wakeup_fd(-1)
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type] # as it was found
        if self._sockets is not None:
            self._sockets[1].close()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        first = self.cause is None
        self.cause = self.cause or signal.Signals(number).name
        if first:
            raise Interrupted(self.cause)

    def _watch(self, reader: socket.socket) -> None:
        """Kill what is left when the time is up. Runs in a thread of its own."""
        with reader:
            if not self._await_signal(reader, None):
                return
            deadline = time.monotonic() + KILL_AFTER_S
            if self._await_signal(reader, KILL_AFTER_S):
                deadline = min(deadline, time.monotonic() + HURRY_S)
            time.sleep(max(deadline - time.monotonic(), 0))
        if not self._closed:
            self._end_all()

    def _end_all(self) -> None:
        kill_descendants()
        self.reported.wait(_REPORT_S)
        time.sleep(HURRY_S)
        if not self._closed:
            os._exit(ExitCode.INTERRUPTED)

    def _await_signal(self, reader: socket.socket, timeout_s: float | None) -> bool:
        """Wait for an end signal. Return False if the time is up or the run is over."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left = None if end is None else max(end - time.monotonic(), 0)
            if not select.select([reader], [], [], left)[0]:
                return False
            numbers = reader.recv(64)
            if not numbers:
                return False
            handled = {n for n, before in self._previous.items() if before is not signal.SIG_IGN}
            if handled.intersection(numbers):
                return True


@contextlib.contextmanager
def end_on_signals() -> Iterator[Interruption]:
    """Turn end signals into `Interrupted` while this is open. Only in the main thread."""
    # Processes whose parent dies become children of this one, so that none can be missed.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    interruption = Interruption()
    interruption.install()
    try:
        yield interruption
    finally:
        interruption.close()
        if interruption.cause is not None:
            kill_descendants()


def silence_closed_pipes() -> None:
    """Send what is still to be printed nowhere if nobody reads it, so that printing cannot fail."""
    for descriptor in _find_closed_pipes():
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def _find_closed_pipes() -> list[int]:
    """Return which of stdout and stderr are pipes that nobody reads."""
    closed = []
    for stream in (sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            descriptor = stream.fileno()  # type: ignore[union-attr] # None raises AttributeError
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode) and _has_no_reader(descriptor):
                closed.append(descriptor)
    return closed


def _has_no_reader(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(flags & select.POLLERR for _, flags in poll.poll(0))

"""How rank 0 of another engine's suite ends: as its interpreter would end by itself.

A crash in an exit handler, or a thread that nobody ended, is part of what the suite's own command
would show. Ranks of this project's engine leave at once: their end costs time and shows nothing.
"""

import ctypes
import threading
import time
from typing import NoReturn

from . import wire, words

#: What threads that are not daemons have to end after the last test.
THREAD_SECONDS = 10.0


def finish_interpreter(status: int) -> NoReturn:
    """Let the interpreter end: threads, exit handlers, modules. Say which threads do not end."""
    stuck = _wait_for_threads(time.monotonic() + THREAD_SECONDS)
    if stuck:
        wire.emit("unended", threads=stuck, seconds=THREAD_SECONDS)
        words.leave(status)
    # What sys.exit leads to, without unwinding the keeper's frames in a forked rank.
    ctypes.pythonapi.Py_Exit(ctypes.c_int(status))
    raise AssertionError("Py_Exit returned")


def _wait_for_threads(deadline: float) -> list[str]:
    """Return the names of threads that the interpreter would wait for in vain."""
    own = threading.current_thread()
    found = [one for one in threading.enumerate() if one is not own and not one.daemon]
    for thread in found:
        thread.join(max(deadline - time.monotonic(), 0.0))
    return [thread.name for thread in found if thread.is_alive()]

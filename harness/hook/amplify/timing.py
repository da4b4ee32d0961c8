"""Amplifiers that only wait: replays of several threads at once, ranks apart. On any device."""

import os
import random
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..events import Capture

_MOST_JITTER_S = 0.002
_MOST_WAIT_S = 0.005
#: A thread that has not replayed for so long is not waited for.
_RECENT_S = 1.0


class Jitter:
    """Waits a random time before each replay: ranks and threads no longer keep step."""

    def __init__(self) -> None:
        seed, rank = os.environ.get("HARNESS_SEED", "0"), os.environ.get("HARNESS_RANK", "0")
        self._random = random.Random(f"jitter {seed} {rank}")

    def before_replay(self, _: "Capture") -> None:
        """Wait."""
        time.sleep(self._random.random() * _MOST_JITTER_S)


class Align:
    """Lets replays of several threads begin at the same moment, as far as threads can."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._seen: dict[int, float] = {}
        self._waiting = 0
        self._rounds = 0

    def before_replay(self, _: "Capture") -> None:
        """Wait for the other threads that have replayed lately, but never long."""
        with self._condition:
            now = time.monotonic()
            self._seen[threading.get_ident()] = now
            recent = sum(now - last < _RECENT_S for last in self._seen.values())
            self._waiting += 1
            if self._waiting >= recent:
                self._release()
                return
            arrived = self._rounds
            self._condition.wait_for(lambda: self._rounds != arrived, _MOST_WAIT_S)
            if self._rounds == arrived:
                self._release()

    def _release(self) -> None:
        self._rounds += 1
        self._waiting = 0
        self._condition.notify_all()

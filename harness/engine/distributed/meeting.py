"""Where the ranks of one shared-memory group wait for each other: counters in shared memory.

A waiting rank first spins, then yields the core at each look, then sleeps between looks. After the
deadline, or once a rank's process has ended, it raises and names the rank.
"""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

#: Looks without giving the core away, about 20 µs: a rank that is ready is seen at once.
_SPINS = 200
#: From so long on a look costs a sleep, and processes are checked: nobody is near.
_PATIENCE_S = 0.02
_NAP_S = 0.0005
#: 8-byte words per rank, so that two ranks never write to one cache line.
_WORDS = 8

HEADER_WORDS = 64 * _WORDS


class RankLate(TimeoutError):  # noqa: N818 - names what was seen
    """A rank did not come to a collective in time; the message names it."""


class RankGone(ConnectionError):  # noqa: N818 - names what was seen
    """A rank's process has ended while others wait for it; the message names it."""


class Meeting:
    """One rank's view of all ranks' counters. `words`: shared memory as 8-byte integers.

    Each counter is written by its own rank alone, after what it announces: x86 keeps that order.
    """

    def __init__(self, rank: int, size: int, words: memoryview, timeout_s: float) -> None:
        self._rank = rank
        self._others = [other for other in range(size) if other != rank]
        self._words = words
        self._timeout_s = timeout_s
        self.next_round = 1
        """Number of the round that `arrive` begins."""
        self._words[rank * _WORDS + 1] = os.getpid()

    def arrive(self) -> None:
        """Announce that this rank is ready for the next round, and wait for all ranks.

        Raises RankLate and RankGone.
        """
        words, mark = self._words, self.next_round
        self.next_round += 1
        words[self._rank * _WORDS] = mark
        for other in self._others:
            place = other * _WORDS
            for _ in range(_SPINS):
                if words[place] >= mark:
                    break
            else:
                self._wait(other, mark)

    def _wait(self, other: int, mark: int) -> None:
        words, place = self._words, other * _WORDS

        def is_there() -> bool:
            return words[place] >= mark

        began = time.monotonic()
        while not is_there():
            waited = time.monotonic() - began
            if waited < _PATIENCE_S:
                os.sched_yield()
                continue
            self._check(other, waited, is_there)
            time.sleep(_NAP_S)

    def _check(self, other: int, waited: float, is_there: Callable[[], bool]) -> None:
        process = self._words[other * _WORDS + 1]
        # A rank may come and then end: look again once it is known to have ended.
        if process and _has_ended(process) and not is_there():
            raise RankGone(
                f"collective {self.next_round - 1}: Connection closed by peer: rank {other} "
                f"(process {process}) has ended"
            )
        if waited > self._timeout_s:
            raise RankLate(
                f"collective {self.next_round - 1}: Timed out waiting {self._timeout_s:g} s "
                f"for rank {other}"
            )

    def close(self) -> None:
        """Forget the shared memory."""
        self._words.release()


def _has_ended(process: int) -> bool:
    """Tell whether a process is gone, or a zombie that nobody has reaped yet."""
    state = ""
    with contextlib.suppress(OSError):
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    return state in ("", "Z", "X")

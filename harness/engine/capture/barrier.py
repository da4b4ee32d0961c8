"""The capture barrier: no rank captures graph k before all ranks are ready for graph k.

It runs over sockets of its own, never over the collective group: a collective would itself be
work in flight while graphs are captured. Rank 0 is the hub: ranks send ready(k), it answers go(k).
"""

import contextlib
import select
import socket
import struct
import time

_MARK = struct.Struct("!I")


class CaptureBarrierTimeout(TimeoutError):  # noqa: N818 - names what was seen
    """Ranks were not ready in time for a capture; the message names them, the role and the size."""


class CaptureBarrier:
    """One engine's barrier. `peers`: rank 0's sockets to ranks 1..n-1; a rank's one to rank 0."""

    def __init__(self, rank: int, peers: list[socket.socket], timeout_s: float) -> None:
        self._rank = rank
        self._peers = peers
        self._timeout_s = timeout_s
        self._next = 0

    def wait(self, role: str, bs: int) -> None:
        """Return once all ranks wait for this same capture.

        Raises CaptureBarrierTimeout after `timeout_s` seconds, or as soon as a rank has gone.
        """
        mark, self._next = self._next, self._next + 1
        deadline = time.monotonic() + self._timeout_s
        what = f"{role} bs={bs} (graph {mark})"
        if self._rank == 0:
            self._gather(mark, deadline, what)
            for peer in self._peers:
                _send_mark(peer, mark)
        else:
            _send_mark(self._peers[0], mark)
            self._await_go(mark, deadline, what)

    def _gather(self, mark: int, deadline: float, what: str) -> None:
        waiting = {peer: rank for rank, peer in enumerate(self._peers, start=1)}
        while waiting:
            ready = _readable(list(waiting), deadline)
            if not ready:
                raise CaptureBarrierTimeout(self._complaint([*waiting.values()], what))
            gone = [waiting[peer] for peer in ready if not _read_mark(peer, mark)]
            if gone:
                raise CaptureBarrierTimeout(f"capture barrier: {_ranks(gone)} gone before {what}")
            for peer in ready:
                del waiting[peer]

    def _complaint(self, missing: list[int], what: str) -> str:
        return f"capture barrier: {_ranks(missing)} not ready for {what} in {self._timeout_s:g} s"

    def _await_go(self, mark: int, deadline: float, what: str) -> None:
        peer = self._peers[0]
        if not _readable([peer], deadline) or not _read_mark(peer, mark):
            raise CaptureBarrierTimeout(
                f"capture barrier: rank 0 gave rank {self._rank} no go for {what} "
                f"in {self._timeout_s:g} s"
            )


def _ranks(numbers: list[int]) -> str:
    listed = ", ".join(str(number) for number in numbers)
    return f"rank {listed}" if len(numbers) == 1 else f"ranks {listed}"


def _readable(peers: list[socket.socket], deadline: float) -> list[socket.socket]:
    left = max(0.0, deadline - time.monotonic())
    return select.select(peers, [], [], left)[0]


def _send_mark(peer: socket.socket, mark: int) -> None:
    # A peer that has gone is found, and named, where its own mark is awaited.
    with contextlib.suppress(OSError):
        peer.sendall(_MARK.pack(mark))


def _read_mark(peer: socket.socket, mark: int) -> bool:
    """Whether the peer is there, and at the same graph."""
    try:
        return peer.recv(_MARK.size, socket.MSG_WAITALL) == _MARK.pack(mark)
    except OSError:
        return False

"""The capture barrier: all together, or an error that names who is missing."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from harness.engine.capture.barrier import CaptureBarrier, CaptureBarrierTimeout


class Sockets:
    """Socket pairs that are closed with the test."""

    def __init__(self) -> None:
        self.pairs: list[tuple[socket.socket, socket.socket]] = []

    def pair(self) -> tuple[socket.socket, socket.socket]:
        self.pairs.append(socket.socketpair())
        return self.pairs[-1]

    def barriers(self, size: int, timeout_s: float) -> list[CaptureBarrier]:
        pairs = [self.pair() for _ in range(size - 1)]
        hub = CaptureBarrier(0, [pair[0] for pair in pairs], timeout_s)
        ranks = [CaptureBarrier(r, [p[1]], timeout_s) for r, p in enumerate(pairs, start=1)]
        return [hub, *ranks]


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    made = Sockets()
    yield made
    for end in (end for pair in made.pairs for end in pair):
        end.close()


def test_no_rank_passes_before_the_last_has_come(sockets: Sockets) -> None:
    barriers, passed = sockets.barriers(3, 10), []

    def rank(number: int) -> None:
        time.sleep(0.1 if number == 1 else 0)
        started.append(number)
        for bs in (4, 2, 1):
            barriers[number].wait("verify", bs)
            passed.append((bs, len(started)))

    started: list[int] = []
    threads = [threading.Thread(target=rank, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 9
    assert {count for _, count in passed} == {3}


def test_the_missing_ranks_are_named_with_role_and_size(sockets: Sockets) -> None:
    barriers = sockets.barriers(4, 0.2)

    def rank_two() -> None:
        with pytest.raises(CaptureBarrierTimeout):
            barriers[2].wait("verify", 8)

    coming = threading.Thread(target=rank_two)
    coming.start()
    with pytest.raises(CaptureBarrierTimeout, match=r"ranks 1, 3 not ready for verify bs=8"):
        barriers[0].wait("verify", 8)
    coming.join()


def test_a_rank_that_has_gone_is_named_at_once(sockets: Sockets) -> None:
    ours, theirs = sockets.pair()
    theirs.close()
    began = time.monotonic()
    with pytest.raises(CaptureBarrierTimeout, match="rank 1 gone before draft bs=2"):
        CaptureBarrier(0, [ours], 30).wait("draft", 2)
    assert time.monotonic() - began < 5


def test_a_rank_without_an_answer_says_so(sockets: Sockets) -> None:
    ours, _ = sockets.pair()
    with pytest.raises(CaptureBarrierTimeout, match="rank 0 gave rank 1 no go for verify bs=1"):
        CaptureBarrier(1, [ours], 0.1).wait("verify", 1)


def test_one_rank_alone_waits_for_nobody() -> None:
    CaptureBarrier(0, [], 0.1).wait("verify", 1)

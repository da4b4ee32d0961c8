"""Two graphs that write the same memory while nothing orders them. The CUDA device is a model."""

import threading
from collections.abc import Collection
from dataclasses import dataclass, field

import pytest

from harness.hook.audit.concurrent import ConcurrentWrites, Used
from harness.hook.audit.cuda_nodes import Word
from harness.hook.audit.findings import Fault, Finding

SCRATCH, WEIGHT, INPUT = 0x1000, 0x2000, 0x3000
#: Questions that a launch goes on for.
LONG = 40


@dataclass
class Event:
    """Done when its stream is, and the stream that its own waits for."""

    device: "Device"
    stream: int

    def query(self) -> bool:
        first = self.device.waits.get(self.stream, self.stream)
        for stream in {first, self.stream}:
            self.device.busy[stream] = max(0, self.device.busy.get(stream, 0) - 1)
        return not (self.device.busy[first] or self.device.busy[self.stream])


@dataclass
class Device:
    """Streams that are busy for some questions, and 512 bytes at each address."""

    stream: int = 0
    busy: dict[int, int] = field(default_factory=dict)
    waits: dict[int, int] = field(default_factory=dict)
    memory: dict[int, bytes] = field(default_factory=dict)
    questions: int = 0

    def get_stream(self) -> int:
        return self.stream

    def record(self, stream: int | None = None) -> Event:
        self.questions += 1
        return Event(self, self.stream if stream is None else stream)

    def read(self, address: int, size: int) -> bytes:
        return self.memory.get(address, bytes(512))[:size]

    def measure(self, addresses: Collection[int]) -> dict[int, int]:
        return dict.fromkeys(addresses, 512)


class Watched:
    """Graphs that are replayed on streams of the model, and what was found."""

    def __init__(self) -> None:
        self.device = Device()
        self.found: list[Finding] = []
        self.watch = ConcurrentWrites(self.device, self.found.append)

    def replay(self, used: Used, stream: int, **written: int) -> None:
        self.device.stream = stream
        self.watch.before_replay(used)
        places = {"scratch": SCRATCH, "input": INPUT}
        for name, value in written.items():
            self.device.memory[places[name]] = bytes([value]) * 512
        self.device.busy[stream] = LONG
        self.watch.after_replay(used)


def use(name: str, *addresses: int) -> Used:
    words = {at: Word(0, f"{name}_kernel", "parameter 1", at) for at in addresses}
    return Used(name, "0,1", words)


DRAFT, VERIFY = use("draft", SCRATCH, WEIGHT), use("verify", SCRATCH, WEIGHT, INPUT)


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_two_graphs_that_write_one_scratch_on_two_streams_are_reported_once(
    watched: Watched,
) -> None:
    for turn in range(4):
        watched.replay(DRAFT, 1, scratch=2 * turn + 1)
        watched.replay(VERIFY, 2, scratch=2 * turn + 2)
    [found] = watched.found
    assert (found.fault, found.address) == (Fault.CONCURRENT, SCRATCH)
    assert {found.graph, found.writers[0].split(":")[0]} == {"draft", "verify"}


def test_a_stream_that_waits_for_the_other_is_ordered(watched: Watched) -> None:
    watched.device.waits = {2: 1, 1: 2}
    for turn in range(4):
        watched.replay(DRAFT, 1, scratch=2 * turn + 1)
        watched.replay(VERIFY, 2, scratch=2 * turn + 2)
    assert watched.found == []


def test_a_replay_that_is_over_already_is_no_proof(watched: Watched) -> None:
    for turn in range(4):
        watched.replay(DRAFT, 1, scratch=2 * turn + 1)
        watched.device.busy.clear()
        watched.replay(VERIFY, 2, scratch=2 * turn + 2)
        watched.device.busy.clear()
    assert watched.found == []


def test_one_stream_orders_by_itself(watched: Watched) -> None:
    for turn in range(4):
        watched.replay(DRAFT, 1, scratch=2 * turn + 1)
        watched.replay(VERIFY, 1, scratch=2 * turn + 2)
    assert watched.found == []


def test_what_both_only_read_is_shared_soundly(watched: Watched) -> None:
    for turn in range(12):
        watched.replay(DRAFT, 1)
        watched.replay(VERIFY, 2, input=turn)
    assert watched.found == []
    assert SCRATCH not in watched.device.memory


def test_what_one_writes_and_the_other_does_not_is_no_finding(watched: Watched) -> None:
    for turn in range(12):
        watched.replay(DRAFT, 1, scratch=turn)
        watched.replay(VERIFY, 2)
    assert watched.found == []


def test_graphs_that_share_nothing_are_not_compared(watched: Watched) -> None:
    for turn in range(4):
        watched.replay(use("other", INPUT), 1, input=turn)
        watched.replay(DRAFT, 2, scratch=turn)
    assert watched.found == []


def test_while_a_graph_is_captured_the_device_is_asked_nothing(watched: Watched) -> None:
    watched.watch.begin_capture()
    watched.replay(DRAFT, 1, scratch=1)
    watched.replay(VERIFY, 2, scratch=2)
    assert watched.device.questions == 0
    watched.watch.end_capture()
    watched.replay(DRAFT, 1, scratch=3)
    assert watched.device.questions > 0


def test_a_replay_that_raised_holds_up_no_other_thread(watched: Watched) -> None:
    watched.replay(DRAFT, 1, scratch=1)
    watched.device.stream = 2
    watched.watch.before_replay(VERIFY)  # and its launch raises
    watched.watch.before_replay(VERIFY)
    watched.watch.after_replay(VERIFY)
    thread = threading.Thread(target=watched.replay, args=(DRAFT, 1), kwargs={"scratch": 3})
    thread.start()
    thread.join(5)
    watched.replay(VERIFY, 2, scratch=4)
    assert len(watched.found) == 1

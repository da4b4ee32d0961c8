"""Collectives through shared memory: right sums, equal bits, nobody waits for ever."""

import os
import platform
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.engine.distributed.shared_memory import SLOT_BYTES, SharedFile
from tests.engine.ranks import ROOT

#: One rank: takes the group's path, its rank, the ranks' number and the deadline; then a script.
RANK = """
import sys, os, time, hashlib, torch
from harness.engine.distributed.shared_memory import SharedMemory
rank, size = int(sys.argv[2]), int(sys.argv[3])
group = SharedMemory(rank, size, sys.argv[1], float(sys.argv[4]))
def draw(by, count, dtype=torch.float32):
    return torch.randn(count, generator=torch.Generator().manual_seed(by)).to(dtype)
def digest(tensor):
    return hashlib.sha256(tensor.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()
"""


@dataclass
class Group:
    """Ranks that run one script each, on one file."""

    size: int
    timeout_s: float = 20.0
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, script: str) -> None:
        file = SharedFile(self.size)
        arguments = [str(self.size), str(self.timeout_s)]
        for rank in range(self.size):
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, "-c", RANK + script, file.path, str(rank), *arguments],
                    env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        # Each rank prints once it has joined: the file may be closed then.
        for process in self.processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "joined\n"
        file.close()

    def finish(self) -> list[str]:
        """What each rank printed, or its last line of error."""
        outputs = [process.communicate(timeout=60) for process in self.processes]
        return [
            out.strip() if process.returncode == 0 else error.strip().splitlines()[-1]
            for process, (out, error) in zip(self.processes, outputs, strict=True)
        ]


def run(size: int, script: str, timeout_s: float = 20.0) -> list[str]:
    group = Group(size, timeout_s)
    group.start("print('joined', flush=True)\n" + script)
    return group.finish()


SUMS = f"""
digests = []
for count in (1, 4096, {SLOT_BYTES // 4 + 7}):
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        tensor = draw(rank, count, dtype)
        group.all_reduce(tensor)
        wanted = sum((draw(by, count, dtype) for by in range(1, size)), draw(0, count, dtype))
        assert torch.equal(tensor, wanted), (count, dtype)
        digests.append(digest(tensor))
print(hash(tuple(int(one, 16) for one in digests)))
"""


@pytest.mark.parametrize("size", [2, 3])
def test_sums_are_in_rank_order_and_the_same_bits_on_every_rank(size: int) -> None:
    answers = run(size, SUMS)
    assert len(answers) == size
    assert len(set(answers)) == 1
    assert int(answers[0]) != 0


GATHERS = f"""
for count in (1, 100, {SLOT_BYTES // 4 + 7}):
    shares = torch.empty(size * count)
    group.all_gather(shares, draw(rank, count))
    assert torch.equal(shares, torch.cat([draw(by, count) for by in range(size)])), count
print("gathered")
"""


def test_shares_are_gathered_in_rank_order() -> None:
    assert run(3, GATHERS) == ["gathered"] * 3


MANY = """
total = torch.zeros(8)
for round in range(3000):
    if round % 97 == rank:
        time.sleep(0.002)
    tensor = torch.full((8,), float(round * (rank + 1)))
    group.all_reduce(tensor)
    total += tensor
assert total[0] == sum(3 * round for round in range(3000)), total
print("right")
"""


def test_a_fast_rank_never_overwrites_what_a_slow_one_still_reads() -> None:
    assert run(2, MANY) == ["right"] * 2


REPLAYS = """
from harness.engine.capture.recorded import RecordedMemory
memory, given = RecordedMemory(64 << 20), torch.zeros(16)
def step():
    tensor = given * 2
    group.all_reduce(tensor)
    return {"x": tensor + 1}
graph = memory.capture(step)
for value in (3.0, 5.0):
    given.fill_(value + rank)
    graph.replay()
    assert graph.outputs["x"][0] == 2 * (2 * value + 1) + 1
print("replayed")
"""


def test_recorded_graphs_hold_the_collectives() -> None:
    assert run(2, REPLAYS) == ["replayed"] * 2


def test_a_late_rank_is_named_after_the_deadline() -> None:
    script = "if rank == 1: time.sleep(4)\nelse: group.all_reduce(torch.zeros(4))\n"
    answers = run(2, script, timeout_s=0.5)
    assert "RankLate" in answers[0]
    assert "Timed out waiting 0.5 s for rank 1" in answers[0]


def test_a_rank_that_died_is_named_at_once() -> None:
    group = Group(2, timeout_s=60.0)
    group.start(
        "print('joined', flush=True)\n"
        "time.sleep(60) if rank == 1 else group.all_reduce(torch.zeros(4))\n"
    )
    began = time.monotonic()
    group.processes[1].send_signal(signal.SIGKILL)
    _, error = group.processes[0].communicate(timeout=30)
    assert time.monotonic() - began < 10
    assert "RankGone" in error
    assert f"rank 1 (process {group.processes[1].pid}) has ended" in error
    group.processes[1].communicate(timeout=10)


def test_another_processor_is_refused_with_what_to_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(UsageError, match=r"aarch64.*cpu_collectives='gloo'"):
        SharedFile(2)


def test_a_closed_file_leaves_nothing_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    SharedFile(2).close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before

"""A suite for `multi_gpu.py`: rank 1 is killed at the moment that KILLED_AT names.

`graph`: before the third capture; `replay`: while graphs are replayed; `collective`: while rank 1
waits for rank 0 in a collective; `never`: not at all.
"""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any
from unittest import mock

from harness.engine.capture.barrier import CaptureBarrier
from harness.engine.engine import Engine
from harness.engine.serving import ranks
from harness.engine.serving.commands import LoadReply, Message, Prefill, decode
from harness.engine.serving.running_worker import RunningWorker

MODELS = Path(__file__).parents[2] / "suites" / "models" / "arith"
ARGUMENTS: dict[str, object] = {
    "model": str(MODELS / "target"),
    "draft_model": str(MODELS / "draft"),
    "cuda_graph_bs": [1, 2],
    "max_running": 2,
    "max_context": 48,
}
engine_args = {"cuda_graph_bs": [1, 2], "max_running": 2, "max_context": 48}
MOMENT = os.environ.get("KILLED_AT", "never")


#: Rank 1's process, once it has loaded.
followers: list[int] = []


def note_reply(values: dict[str, Any]) -> Message:
    """Read a message of rank 1, and keep its process."""
    message = decode(values)
    if isinstance(message, LoadReply):
        followers.append(message.process)
    return message


def kill_rank_1() -> None:
    """Kill rank 1, and say when."""
    # Past pytest's capture, which this process takes along as it is killed with its gang.
    log = int(os.environ.get("HARNESS_LOG_FD", "1"))
    os.write(log, f"killing rank 1, process {followers[-1]}, at {time.time():.2f}\n".encode())
    os.kill(followers[-1], signal.SIGKILL)


def build_engine() -> Engine:
    """Build the engine; for `graph` rank 1 is killed before the third capture."""
    wait, calls = CaptureBarrier.wait, []

    def kill_then_wait(barrier: CaptureBarrier, role: str, bs: int) -> None:
        calls.append(role)
        if MOMENT == "graph" and len(calls) == 3:
            kill_rank_1()
        wait(barrier, role, bs)

    with (
        mock.patch.object(ranks, "decode", note_reply),
        mock.patch.object(CaptureBarrier, "wait", kill_then_wait),
    ):
        return Engine.from_cell(ARGUMENTS)


def test_the_engine_answers() -> None:
    execute = RunningWorker.execute

    def kill_late(worker: RunningWorker, command: Any) -> Any:
        if isinstance(command, Prefill):
            # Rank 1 has begun it, and waits for rank 0 in its first collective.
            time.sleep(1)
            kill_rank_1()
        return execute(worker, command)

    with build_engine() as engine:
        if MOMENT == "replay":
            threading.Timer(0.2, kill_rank_1).start()
        patched = kill_late if MOMENT == "collective" else execute
        with mock.patch.object(RunningWorker, "execute", patched):
            ends = time.monotonic() + (2 if MOMENT != "never" else 0)
            answers = engine.generate([[2, 3, 4], [5, 6, 7]], 20)
            while time.monotonic() < ends:
                engine.generate([[2, 3, 4], [5, 6, 7]], 20)
    assert len(answers) == 2

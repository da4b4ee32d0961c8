"""Starts real ranks, as the supervisor does: processes, inherited sockets, a file to meet at."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLLOWER = "from harness.engine.follower import main; main()"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    """How a group of ranks ended: exit codes by rank, rank 0's last line as JSON, all errors."""

    codes: list[int]
    answer: Any
    errors: str
    events: list[dict[str, Any]]


def run_ranks(
    script: str, folder: Path, *, tp: int = 2, followers: str = FOLLOWER, argument: object = None
) -> Ended:
    """Run `script` as rank 0, which prints JSON; its sys.argv[1] is `argument` as JSON."""
    control = [socket.socketpair() for _ in range(tp - 1)]
    barrier = [socket.socketpair() for _ in range(tp - 1)]
    events, events_end = os.pipe()
    processes = []
    with (folder / "log").open("wb") as log_file:
        for rank in range(tp):
            ends = [[pair[min(rank, 1)] for pair in pairs] for pairs in (control, barrier)]
            if rank:
                ends = [[end[rank - 1]] for end in ends]
            numbers = [",".join(str(end.fileno()) for end in group) for group in ends]
            shared = [events_end, log_file.fileno()]
            environ = {
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(tp),
                "HARNESS_CONTROL_FDS": numbers[0],
                "HARNESS_BARRIER_FDS": numbers[1],
                "HARNESS_RENDEZVOUS": str(folder / "rendezvous"),
                "HARNESS_LOG_FD": str(shared[1]),
            }
            if rank == 0:
                environ["HARNESS_EVENTS_FD"] = str(shared[0])
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-c", followers if rank else script, json.dumps(argument)],
                    env=environ,
                    pass_fds=[*(end.fileno() for group in ends for end in group), *shared],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
    os.close(events_end)
    for pair in (*control, *barrier):
        for end in pair:
            end.close()
    outputs = [process.communicate(timeout=60) for process in processes]
    with os.fdopen(events) as events_file:
        told = [json.loads(line) for line in events_file]
    lines = outputs[0][0].strip().splitlines()
    return Ended(
        [process.returncode for process in processes],
        json.loads(lines[-1]) if lines else None,
        "\n".join(error for _, error in outputs),
        told,
    )

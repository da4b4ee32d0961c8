"""An all-reduce between two CPU ranks: through shared memory, and over Gloo.

    python benchmarks/collectives.py [--count 4096] [--rounds 2000]

Prints the median and the 95th percentile of rank 0's calls, in microseconds.
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch._C._distributed_c10d import FileStore

from harness.engine.distributed.process_group import ProcessGroup
from harness.engine.distributed.shared_memory import SharedFile, SharedMemory
from harness.engine.distributed.tensor_parallel import Collectives

TIMEOUT_S = 60.0


def join(name: str, rank: int, place: str) -> Collectives:
    """Join two ranks at a path, or at a file for Gloo."""
    if name == "gloo":
        return ProcessGroup(rank, 2, torch.device("cpu"), FileStore(place, 2), TIMEOUT_S)
    return SharedMemory(rank, 2, place, TIMEOUT_S)


def time_rounds(name: str, rank: int, place: str, count: int, rounds: int) -> list[float]:
    """Seconds of each all-reduce of `count` float32."""
    torch.set_num_threads(1)
    group, tensor, seconds = join(name, rank, place), torch.ones(count), []
    for _ in range(rounds):
        began = time.perf_counter()
        group.all_reduce(tensor)
        seconds.append(time.perf_counter() - began)
        tensor.fill_(1)
    group.close()
    return seconds


def measure(name: str, count: int, rounds: int) -> dict[str, object]:
    """Run rank 1 in a process of its own, rank 0 here."""
    with tempfile.TemporaryDirectory() as folder:
        file = SharedFile(2) if name == "shared-memory" else None
        place = file.path if file else str(Path(folder) / "store")
        arguments = (name, 1, place, count, rounds)
        other = multiprocessing.get_context("spawn").Process(target=time_rounds, args=arguments)
        other.start()
        seconds = time_rounds(name, 0, place, count, rounds)
        other.join()
        if file:
            file.close()
    worst = statistics.quantiles(seconds, n=20)[-1]
    return {
        "collectives": name,
        "floats": count,
        "median_us": round(1e6 * statistics.median(seconds), 1),
        "p95_us": round(1e6 * worst, 1),
    }


def main() -> None:
    """Print one line of JSON per way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=2000)
    options = parser.parse_args()
    for name in ("shared-memory", "gloo"):
        print(json.dumps(measure(name, options.count, options.rounds)), flush=True)


if __name__ == "__main__":
    main()

"""One decode step beside the floor that memory bandwidth sets, captured and eager, on CUDA.

    python benchmarks/gpu/decode.py --attention torch_native --batch 1,64
    torchrun --nproc-per-node 2 benchmarks/gpu/decode.py --batch 1

Weights are drawn (load format `dummy`), so any folder with a `config.json` will do. The floor is
the bytes that a step must read (weights, and keys and values of every row) over the bandwidth of a
device to device copy measured in the same process (bytes read and written count). Times are medians
of CUDA events around each step, on rank 0.
"""

import argparse
import json
import os
import statistics
from pathlib import Path

import torch

from harness.engine import follower
from harness.engine.engine import Engine
from harness.engine.probe import time_step

SHAPE = Path(__file__).parent / "shapes" / "llama-3-8b"
COPIED_BYTES = 4 << 30


def copy_bandwidth() -> float:
    """Bytes read and written per second by a copy on the device."""
    source = torch.empty(COPIED_BYTES, device="cuda", dtype=torch.uint8).random_()
    target = torch.empty_like(source)
    seconds = []
    for _ in range(12):
        began, ended = (torch.Event("cuda", enable_timing=True) for _ in range(2))
        began.record()
        target.copy_(source)
        ended.record()
        torch.cuda.synchronize()
        seconds.append(began.elapsed_time(ended) / 1e3)
    return 2 * COPIED_BYTES / statistics.median(seconds[2:])


def floor_bytes(engine: Engine, bs: int, length: int) -> int:
    """Bytes that one step reads on this rank at least: weights, `bs` embeddings, keys, values."""
    held, config = engine.footprint, engine.config
    slots = config.num_pages * config.page_size
    row = held.embedding // engine.vocab_size
    return held.weights - held.embedding + bs * (row + held.kv // slots * length)


def measure(options: argparse.Namespace, batches: list[int]) -> list[dict[str, object]]:
    """One line per batch size."""
    bandwidth = copy_bandwidth()
    torch.cuda.empty_cache()
    arguments = {
        "model": options.model,
        "load_format": "dummy",
        "speculative": False,
        "device": "cuda",
        "dtype": "bfloat16",
        "backend": options.attention,
        "cuda_graph_bs": batches,
        "max_running": max(batches),
        "max_context": options.length,
        "page_size": options.page_size,
        "order": "descending",
    }
    lines: list[dict[str, object]] = []
    with Engine.from_cell(arguments) as engine:
        for bs in batches:
            read = floor_bytes(engine, bs, options.length)
            graph, eager = (
                time_step(engine, "decode", bs, options.length, options.count, graphed=graphed)
                for graphed in (True, False)
            )
            lines.append(
                {
                    "device": torch.cuda.get_device_name(),
                    "model": Path(options.model).name,
                    "attention": options.attention,
                    "tp": engine.config.tp,
                    "batch": bs,
                    "length": options.length,
                    "copy_tb_s": round(bandwidth / 1e12, 3),
                    "read_gb": round(read / 1e9, 3),
                    "floor_ms": round(1e3 * read / bandwidth, 3),
                    "graph_ms": round(1e3 * graph, 3),
                    "eager_ms": round(1e3 * eager, 3),
                    "of_floor": round(read / bandwidth / graph, 3),
                    "graph_against_eager": round(eager / graph, 2),
                }
            )
    return lines


def main() -> None:
    """Measure on rank 0; other ranks follow it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=str(SHAPE), help="a folder with a config.json")
    parser.add_argument("--attention", default="torch_native")
    parser.add_argument("--batch", default="1,64")
    parser.add_argument("--length", type=int, default=1024, help="positions of each row")
    parser.add_argument("--page-size", type=int, default=1)
    parser.add_argument("--count", type=int, default=50, help="steps timed")
    options = parser.parse_args()
    if os.environ.get("RANK", "0") != "0":
        follower.main()
        return
    for line in measure(options, [int(bs) for bs in options.batch.split(",")]):
        print(json.dumps(line))


if __name__ == "__main__":
    main()

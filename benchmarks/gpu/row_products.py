"""How fast one row is multiplied by the weights of the 8B shape: cuBLAS beside our kernel, on CUDA.

    python benchmarks/gpu/row_products.py

Bytes of the weight per second, medians of replays of a graph with 20 products over as many copies
of the weight as do not fit the cache, beside a copy on the device (bytes read and written count).
"""

import itertools
import statistics

import torch
from torch import Tensor

from harness.engine.model import kernels

SHAPES = {"qkv": (6144, 4096), "output": (4096, 4096), "gate_up": (28672, 4096),
          "down": (4096, 14336), "lm_head": (128256, 4096)}  # fmt: skip
BLOCKS = [(1, 1024, 4), (2, 1024, 4), (4, 1024, 4), (4, 512, 4), (8, 512, 4), (2, 2048, 8),
          (4, 2048, 8), (8, 256, 4), (16, 256, 8)]  # fmt: skip
PRODUCTS = 20


def measure_copy() -> float:
    """Return the bytes read and written per second by a copy on the device."""
    source = torch.empty(4 << 30, device="cuda", dtype=torch.uint8)
    target, seconds = torch.empty_like(source), []
    for _ in range(12):
        began, ended = (torch.Event("cuda", enable_timing=True) for _ in range(2))
        began.record()
        target.copy_(source)
        ended.record()
        torch.cuda.synchronize()
        seconds.append(began.elapsed_time(ended) / 1e3)
    return 2 * source.nbytes / statistics.median(seconds)


def time_products(weights: list[Tensor], values: Tensor, out: Tensor, ours: bool) -> float:
    """Return the seconds of one product."""

    def run() -> None:
        for weight, _ in zip(itertools.cycle(weights), range(PRODUCTS), strict=False):
            if ours:
                kernels.multiply_row(values, weight, out)
            else:
                torch.mm(values[None], weight.t(), out=out[None])

    run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    seconds = []
    for _ in range(30):
        began, ended = (torch.Event("cuda", enable_timing=True) for _ in range(2))
        began.record()
        graph.replay()
        ended.record()
        torch.cuda.synchronize()
        seconds.append(began.elapsed_time(ended) / 1e3 / PRODUCTS)
    return statistics.median(seconds)


@torch.inference_mode()
def main() -> None:
    """Print a line per shape: TB/s of cuBLAS and of each choice of blocks."""
    bandwidth = measure_copy() / 1e12
    torch.cuda.empty_cache()
    print(f"{torch.cuda.get_device_name()}: a copy {bandwidth:.2f} TB/s")
    print("blocks:", *(f"{rows}x{block}/{warps}" for rows, block, warps in BLOCKS))
    for name, (count, width) in SHAPES.items():
        copies = max(2, (1 << 30) // (2 * count * width))
        weights = [
            torch.randn(count, width, device="cuda", dtype=torch.bfloat16) for _ in range(copies)
        ]
        values = torch.randn(width, device="cuda", dtype=torch.bfloat16)
        out = torch.empty(count, device="cuda", dtype=torch.bfloat16)
        found = [2e-12 * count * width / time_products(weights, values, out, ours=False)]
        for blocks in BLOCKS:
            kernels.ROW_BLOCKS = blocks
            found.append(2e-12 * count * width / time_products(weights, values, out, ours=True))
        print(f"{name:8} cuBLAS {found[0]:.2f}; ours", *(f"{rate:.2f}" for rate in found[1:]))
        del weights
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()

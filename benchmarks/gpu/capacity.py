"""Does the size that `harness capture-cost` predicts hold? A device left with little, on CUDA.

    python benchmarks/gpu/capacity.py --free 22 --sizes 64,128,256

Holds all of the device but `--free` GiB, sweeps the sizes in each order, and then captures in
fresh processes at shares of each order's predicted size: those below it must fit. Where the
prediction is only that it fits at least so far, leave less free.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

SHAPE = Path(__file__).parent / "shapes" / "llama-3-8b"
HARNESS = [sys.executable, "-c", "from harness.cli.main import main; main()", "capture-cost"]
ENGINE = "--arg load_format=dummy --arg max_context=1024"
GIB = 1 << 30
SHARES = (0.95, 1.05, 1.15)


def measure(backend: str, order: str, sizes: str) -> dict[str, Any]:
    """What `--json` holds of one command. Ends here, with what it said, where it failed."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "cost.json"
        options = f"--backend {backend} --order {order} --max-bs {sizes} --json {target}"
        done = subprocess.run(
            [*HARNESS, "--model", str(SHAPE), *options.split(), *ENGINE.split()],
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            sys.exit(done.stderr)
        found: dict[str, Any] = json.loads(target.read_text())
        return found


def main() -> None:
    """Print one line per order and size: the prediction, then what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="fa3")
    parser.add_argument("--order", default="ascending,descending")
    parser.add_argument("--free", type=float, default=22, help="GiB left to the measured process")
    parser.add_argument("--sizes", default="64,128,256")
    options = parser.parse_args()
    free, total = torch.cuda.mem_get_info()
    held = torch.empty(free - round(options.free * GIB), device="cuda", dtype=torch.uint8)
    left = torch.cuda.mem_get_info()[0] / GIB
    print(f"{torch.cuda.get_device_name()}: {left:.2f} of {total / GIB:.2f} GiB left free")
    for order in options.order.split(","):
        swept = measure(options.backend, order, options.sizes)
        print(*swept["sentences"], sep="\n")
        fits = swept["predictions"][order]["fits"]
        if fits is None:
            continue
        for share in SHARES:
            size = round(fits * share)
            (cost,) = measure(options.backend, order, str(size))["costs"]
            answer = (
                f"does not fit: {cost['unfit']}"
                if cost["unfit"]
                else f"fits, {cost['held'] / GIB:.2f} GiB held"
            )
            print(f"{order}, {share:.2f} of the prediction, max_bs {size}: {answer}")
    del held


if __name__ == "__main__":
    main()

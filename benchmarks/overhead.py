"""What an attempt costs beside its tests, and how that compares with a shell loop of torchrun.

    python benchmarks/overhead.py [--repeats 25] [--loops 5]

Overhead per attempt = (wall x gangs - sum of time inside pytest) / attempts; wall is from the first
lease to the last end, so Ray's start, which belongs to no attempt, is outside.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.store.open import open_store

SUITE = Path(__file__).parent / "frozen/test_two_seconds.py"


def harness_run(repeats: int, isolation: str) -> tuple[float, float]:
    """Run the frozen suite; answers (overhead per attempt in s, attempts per minute)."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store.sqlite"
        subprocess.run(
            [
                *(sys.executable, "-c", "from harness.cli.main import main; main()", "run"),
                *(str(SUITE), "--repeats", str(repeats), "--tp", "2", "--device", "cpu"),
                *("--order", "ascending", "--isolation", isolation, "--store", str(store)),
            ],
            check=True,
            capture_output=True,
        )
        opened = open_store(str(store), write=False)
        rows = opened.attempts(opened.run("latest").id)
    wall = max(row.started + row.wall_seconds for row in rows) - min(row.started for row in rows)
    inside = sum(row.inside_seconds for row in rows)
    return (wall - inside) / len(rows), 60 * len(rows) / wall


def torchrun_loop(loops: int) -> float:
    """Attempts per minute of a shell loop around torchrun."""
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", str(SUITE)),
    ]
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    began = time.perf_counter()
    for _ in range(loops):
        subprocess.run(command, check=True, capture_output=True, env=environ)
    return 60 * loops / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--loops", type=int, default=5)
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {len(os.sched_getaffinity(0))} cores, "
          f"CPython {platform.python_version()}, {time.strftime('%Y-%m-%d')}")  # fmt: skip
    loop = torchrun_loop(options.loops)
    print(f"torchrun loop: {loop:.1f} attempts a minute ({options.loops} attempts)")
    figures = {}
    for isolation in ("fork", "spawn"):
        overhead, rate = harness_run(options.repeats, isolation)
        figures[isolation] = {"overhead_s": overhead, "per_minute": rate}
        print(f"{isolation}: overhead {overhead:.3f} s an attempt, {rate:.1f} attempts a minute, "
              f"{rate / loop:.2f}x the loop ({options.repeats} attempts)", flush=True)  # fmt: skip
    print(json.dumps({"torchrun_per_minute": loop, **figures}))


if __name__ == "__main__":
    main()

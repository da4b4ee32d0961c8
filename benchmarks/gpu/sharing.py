"""Attempts per minute beside a loop of pytest processes: one attempt at a time, and four on a GPU.

    python benchmarks/gpu/sharing.py --part foreign
    python benchmarks/gpu/sharing.py --part engine --backend fa3

A run's rate is that of the attempts that ended in its second half, when zygotes have learned what
to import; the loop's is that of its median process. Goals: engine, four on a GPU at least 2.5x one
at a time; foreign suite, at least 2.5x and 9x the loop.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from harness.store.open import open_store

HARNESS = [sys.executable, "-c", "from harness.cli.main import main; main()"]
SUITES = {
    "engine": "suites/test_eagle_infer_b.py",
    "foreign": "benchmarks/gpu/foreign/test_plain_graph.py",
}


def time_loop(suite: str, cell: dict[str, object], count: int) -> float:
    """Return the median seconds of one pytest process."""
    environ = {**os.environ, "HARNESS_CELL": json.dumps(cell), "HARNESS_DEVICE": "cuda"}
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", suite]
        subprocess.run(command, env=environ, check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def run(suite: str, repeats: int, per_gpu: int, more: list[str]) -> dict[str, Any]:
    """Return the attempts per minute of one run, with its counts."""
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "store.sqlite")
        arguments = ["--repeats", str(repeats), "--tp", "1", "--per-gpu", str(per_gpu), *more]
        done = subprocess.run(
            [*HARNESS, "run", suite, "--store", store, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (0, 1, 3):
            return {"per_gpu": per_gpu, "exit": done.returncode, "said": done.stderr[-600:]}
        opened = open_store(store, write=False)
        rows = opened.attempts(opened.run("latest").id)
    ends = sorted(row.started + row.wall_seconds for row in rows)
    late = ends[len(ends) // 2 :]
    seconds = [row.wall_seconds for row in sorted(rows, key=lambda row: row.started)]
    return {
        "per_gpu": per_gpu,
        "attempts": len(rows),
        "statuses": dict(Counter(row.status.value for row in rows)),
        "isolation": dict(Counter(row.isolation for row in rows)),
        "per_minute": round(60 * (len(late) - 1) / (late[-1] - late[0]), 1),
        "median_s": round(statistics.median(seconds[len(seconds) // 2 :]), 2),
        "notes": [note for note, _ in Counter(n for row in rows for n in row.notes).most_common(3)],
        "failures": dict(Counter(row.signature for row in rows if row.signature).most_common(3)),
    }


def main() -> None:
    """Measure one part, and print a JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=SUITES, required=True)
    parser.add_argument("--backend", default="fa3")
    parser.add_argument("--repeats", type=int, default=16, help="attempts one at a time")
    parser.add_argument("--shares", default="1,4")
    parser.add_argument("--loops", type=int, default=3, help="pytest processes; 0: none")
    options = parser.parse_args()
    engine, suite = options.part == "engine", SUITES[options.part]
    more = ["--order", "ascending", "--backend", options.backend] if engine else []
    cell = {"order": "ascending", "backend": options.backend, "tp": 1} if engine else {}
    loop = time_loop(suite, cell, options.loops) if options.loops else float("nan")
    print(json.dumps({"part": options.part, "pytest_s": round(loop, 2)}), flush=True)
    rates: dict[int, float] = {}
    for per_gpu in map(int, options.shares.split(",")):
        line = run(suite, options.repeats * (2 if per_gpu > 1 else 1), per_gpu, more)
        rates[per_gpu] = line.get("per_minute", 0.0)
        line["against_the_loop"] = round(rates[per_gpu] * loop / 60, 2)
        line["against_one"] = round(rates[per_gpu] / (rates.get(1) or float("nan")), 2)
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()

"""Where the seconds of one attempt go: stages from the stored events, then a profile of one fork.

    python benchmarks/gpu/attempt_timeline.py --backend fa3 --repeats 12

First `harness run` makes the attempts, and the medians of those that a learned zygote served are
printed per stage and per class. Then this process imports what such a zygote imports, is forked,
and the fork runs the suite once more, timed step by step and profiled. `--no-profile` leaves that
out. Works on CPU too (`--backend torch_native`).
"""

import argparse
import cProfile
import ctypes
import importlib
import json
import os
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness.core.records import AttemptRow
from harness.rank.imports import ask_for_gpus_through_nvml
from harness.store.open import open_store

HARNESS = [sys.executable, "-c", "from harness.cli.main import main; main()"]
SUITE = "suites/test_eagle_infer_b.py"
Event = dict[str, Any]
Stages = dict[str, float]


def run_attempts(options: argparse.Namespace, folder: Path) -> list[AttemptRow]:
    """Make the attempts and return their rows, in the order in which they began."""
    store = folder / "store.sqlite"
    arguments = ["--repeats", str(options.repeats), "--order", "ascending", "--tp", "1"]
    arguments += ["--backend", options.backend, "--store", str(store), *options.more]
    subprocess.run([*HARNESS, "run", options.suite, *arguments], check=False, stderr=sys.stderr)
    opened = open_store(str(store), write=False)
    return sorted(opened.attempts(opened.run("latest").id), key=lambda row: row.started)


def read_events(row: AttemptRow) -> list[Event]:
    """Return the events of one attempt."""
    lines = (Path(row.folder) / "events.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def split_stages(row: AttemptRow) -> Stages:
    """Return the seconds of each stage of one attempt; classes by name."""
    events = read_events(row)
    at = {event["event"]: event["t"] for event in reversed(events)}
    first = next(event["t"] for event in events if event["event"] == "test_start")
    stages = defaultdict(
        float,
        {
            "fork": at["hello"] - row.started,
            "collect": at["collected"] - at["hello"],
            "to first test": first - at["collected"],
            "end": row.started + row.wall_seconds - at["finish"],
        },
    )
    _add_reports(stages, events)
    _add_captures(stages, events)
    stages["all"] = row.wall_seconds
    return dict(stages)


def _add_reports(stages: Stages, events: list[Event]) -> None:
    for event in events:
        if event["event"] == "report":
            name = event["id"].split("::")[1]
            stages[f"{name} {event['when']}"] += event["seconds"]
            stages[f"sum of {event['when']}"] += event["seconds"]


def _add_captures(stages: Stages, events: list[Event]) -> None:
    """Split each engine's set-up: until the capture begins, and the capture with its graphs."""
    name, began = "", 0.0
    for event in events:
        if event["event"] == "test_start":
            name, began = event["id"].split("::")[1], event["t"]
        elif event["event"] == "phase" and event["name"] == "capture":
            stages[f"{name} before capture"] += event["t"] - began
            stages["sum before capture"] += event["t"] - began
        elif event["event"] == "captured":
            stages[f"{name} capture"] += event["seconds"]
            stages["sum of capture"] += event["seconds"]
        elif event["event"] == "capture":
            stages["graphs"] += 1


def print_stages(rows: list[AttemptRow]) -> None:
    """Print each attempt's seconds, and the medians of the last half per stage."""
    print("seconds:", " ".join(f"{row.wall_seconds:.2f}" for row in rows))
    print("keepers:", " ".join(str([*{r.zygote: 0 for r in rows}].index(r.zygote)) for r in rows))
    found = [split_stages(row) for row in rows[len(rows) // 2 :]]
    for name in found[0]:
        values = [stages[name] for stages in found if name in stages]
        print(f"{statistics.median(values):8.3f}  {name}")


# --- one fork, profiled ---


def list_learned() -> list[str]:
    """Return what the newest learned zygote imports."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    found = sorted((folder / "harness/preload").glob("*.json"), key=lambda p: p.stat().st_mtime)
    names: list[str] = json.loads(found[-1].read_text()) if found else []
    base = ["pytest", "torch", "harness.engine.engine", "harness.engine.follower"]
    return [*base, *(names or ("harness.engine.model.kernels",))]


def profile_fork(options: argparse.Namespace, environment: dict[str, str]) -> None:
    """Import what a zygote does, fork, and run the suite in the fork."""
    os.environ.update(environment)
    with ask_for_gpus_through_nvml():
        for name in list_learned():
            importlib.import_module(name)
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            _run_in_fork(options)
        finally:
            sys.stdout.flush()
            os._exit(0)
    os.waitpid(child, 0)


def _run_in_fork(options: argparse.Namespace) -> None:
    import pytest

    began = time.perf_counter()
    steps: list[tuple[str, float]] = []
    for name, step in list_cuda_steps() if options.backend != "torch_native" else ():
        start = time.perf_counter()
        step()
        steps.append((name, time.perf_counter() - start))
    before = set(sys.modules)
    profile = cProfile.Profile()
    profile.enable()
    arguments = ["-q", "-p", "no:cacheprovider", "--durations=12", options.suite]
    status = pytest.main(arguments)
    profile.disable()
    for name, seconds in steps:
        print(f"{seconds:8.3f}  {name}")
    print(f"{time.perf_counter() - began:8.3f}  in the fork, profiled; pytest says {int(status)}")
    print("imported in the fork:", " ".join(sorted(set(sys.modules) - before))[:3000])
    stats = pstats.Stats(profile)
    for order, count in (("tottime", 45), ("cumtime", 70)):
        stats.sort_stats(order).print_stats(count)


def list_cuda_steps() -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the first things that a process asks of CUDA, which are slow once."""
    import torch

    driver = ctypes.CDLL("libcuda.so.1")
    yield "cuInit", lambda: driver.cuInit(0)
    yield "torch.cuda.init", torch.cuda.init
    yield "context, first allocation", lambda: torch.zeros(1, device="cuda").item()
    square = torch.ones(64, 64)
    yield "first copy", lambda: square.to("cuda").cpu()
    yield "first product, float32", lambda: (square.cuda() @ square.cuda()).cpu()
    yield "first product, bfloat16", lambda: square.cuda().bfloat16() @ square.cuda().bfloat16()
    yield "synchronize", torch.cuda.synchronize


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="fa3")
    parser.add_argument("--repeats", type=int, default=12)
    parser.add_argument("--suite", default=SUITE)
    parser.add_argument("--no-profile", action="store_true")
    parser.add_argument("more", nargs="*", help="further options of `harness run`, after --")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = run_attempts(options, Path(folder))
        print_stages(rows)
        if not options.no_profile:
            cell = {"order": "ascending", "backend": options.backend, "tp": 1}
            caches = Path(folder) / "caches"
            device = "cpu" if options.backend == "torch_native" else "cuda"
            environment = {
                "HARNESS_CELL": json.dumps(cell),
                "HARNESS_DEVICE": device,
                "RANK": "0",
                "WORLD_SIZE": "1",
                "OMP_NUM_THREADS": "1",
                "TRITON_CACHE_DIR": str(caches),
            }
            for _ in range(2):  # the second finds the kernels that the first compiled
                profile_fork(options, environment)


if __name__ == "__main__":
    main()

"""What several GPUs of one host show, in parts that each end within 8 minutes on 2 GPUs.

    python benchmarks/gpu/multi_gpu.py --part parity --out FOLDER

Each part prints its result as JSON lines, and writes it to FOLDER/PART.json as it goes. Sizes above
the host's number of GPUs are left out, and said. `--sizes 2` leaves out all others; `--seconds 150`
interrupts a run after so long, and what it has stored by then is its result.
"""

import argparse
import itertools
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.core.records import AttemptRow
from harness.store.open import open_store

HERE = Path(__file__).parent
HARNESS = [sys.executable, "-c", "from harness.cli.main import main; main()"]
SUITE = "suites/test_eagle_infer_b.py"
CONTROL = "suites/faults/test_stale_buffer.py"
KILLED = str(HERE / "test_killed_rank.py")
SIZES = (1, 2, 4, 8)
FEW = ("--order", "ascending", "--backend", "fa2")
Line = dict[str, Any]
#: Seconds after which a run is interrupted; an option of the command line.
LIMIT = {"seconds": 450.0}


class Results:
    """The lines of one part, kept on disk after each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[Line] = []

    def add(self, **line: Any) -> None:
        """Print one line, and write all lines so far."""
        self._lines.append(line)
        print(json.dumps(line), flush=True)
        self._path.write_text(json.dumps(self._lines, indent=1) + "\n")


def count_gpus() -> int:
    """GPUs of this host, without making a CUDA context."""
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True)
    return len(listed.stdout.splitlines())


def run_harness(out: Path, name: str, *arguments: str, gpus: int = 0) -> Line:
    """Run one `harness run` on the first `gpus` GPUs, all if 0; its run.json, exit and seconds."""
    target = out / f"{name}.run.json"
    environ = dict(os.environ)
    if gpus:
        environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, range(gpus)))
    store = str(out / f"{name}.sqlite")
    began = time.perf_counter()
    process = subprocess.Popen(
        [*HARNESS, "run", *arguments, "--store", store, "--json", str(target)],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = wait_or_interrupt(process)
    found: Line = {"name": name, "exit": process.returncode}
    found["wall_s"] = round(time.perf_counter() - began, 1)
    if target.exists():
        return {**found, "run": json.loads(target.read_text())}
    return {**found, "error": said.strip().splitlines()[-3:]}


def wait_or_interrupt(process: "subprocess.Popen[str]") -> str:
    """Wait for a run, interrupted at the limit; return what it said on stderr."""
    try:
        return process.communicate(timeout=LIMIT["seconds"])[1]
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        return process.communicate(timeout=60)[1]


def read_rows(out: Path, name: str) -> list[AttemptRow]:
    """Return the attempts of a run in the order in which they began."""
    store = open_store(str(out / f"{name}.sqlite"), write=False)
    return sorted(store.attempts(store.run("latest").id), key=lambda row: row.started)


def get_end(row: AttemptRow) -> float:
    """Return when an attempt ended."""
    return row.started + row.wall_seconds


def compute_rate(rows: list[AttemptRow]) -> float:
    """Return the attempts per minute of the second half, after the zygotes have learned."""
    ends = sorted(map(get_end, rows))[len(rows) // 2 :]
    return 60 * (len(ends) - 1) / (ends[-1] - ends[0]) if len(ends) > 1 else 0.0


def compute_idle(rows: list[AttemptRow]) -> float:
    """Return the share of device time in which no attempt ran, from first start to last end."""
    devices = {device for row in rows for device in row.devices}
    wall = max(map(get_end, rows)) - min(row.started for row in rows)
    busy = sum(row.wall_seconds * len(row.devices) for row in rows)
    return 1 - busy / (wall * len(devices))


def find_waits(rows: list[AttemptRow]) -> dict[int, float]:
    """Return for each gang size the longest time that an attempt was the next to be leased."""
    queue = sorted(rows, key=lambda row: row.position)
    waits: dict[int, float] = {}
    for before, row in itertools.pairwise(queue):
        size = len(row.devices)
        waits[size] = max(waits.get(size, 0.0), round(row.started - before.started, 2))
    return waits


def measure_skew(rows: list[AttemptRow]) -> dict[str, float]:
    """Return the time between the first and the last rank's begin of the same capture, in ms."""
    skews: list[float] = []
    for row in rows:
        begins: dict[tuple[int, str, int], list[float]] = {}
        engine = dict.fromkeys(range(len(row.devices)), 0)
        for event in map(json.loads, (Path(row.folder) / "events.jsonl").read_text().splitlines()):
            if event["event"] == "capture":
                key = (engine[event["rank"]], event["role"], event["bs"])
                begins.setdefault(key, []).append(event["t"] - event["seconds"])
            elif event["event"] == "captured":
                engine[event["rank"]] += 1
        skews += [1e3 * (max(t) - min(t)) for t in begins.values() if len(t) > 1]
    if not skews:
        return {}
    worst = max(skews)
    return {"graphs": len(skews), "median_ms": statistics.median(skews), "worst_ms": worst}


def measure_ends(rows: list[AttemptRow]) -> list[float]:
    """Return for each attempt with a kill the seconds from the kill until all was gone."""
    seconds = []
    for row in rows:
        folder = Path(row.folder)
        found = re.search(r"at (\d+\.\d+)", (folder / "rank0.log").read_text(errors="replace"))
        if found and (folder / "trace.json").exists():
            # Written as soon as no process of the attempt is left.
            gone = (folder / "trace.json").stat().st_mtime
            seconds.append(round(gone - float(found[1]), 2))
    return seconds


def summarise(found: Line) -> Line:
    """The figures of one run: per cell its counts, kinds, order and capture memory."""
    cells = [
        {
            **cell["axes"],
            **{key: cell[key] for key in ("attempts", "passed", "failed", "infra", "kinds")},
            "observed": cell["order"]["observed"],
            "pool_mib": cell["capture"]["pool_bytes"] / (1 << 20),
        }
        for cell in found.get("run", {}).get("cells", [])
    ]
    kept = {key: value for key, value in found.items() if key != "run"}
    return {**kept, "status": found.get("run", {}).get("run", {}).get("status"), "cells": cells}


def show_parity(out: Path, results: Results, sizes: list[int]) -> None:
    """Every backend at every size, both orders, two repeats: each is checked by the reference."""
    for tp in sizes:
        options = ("--repeats", "2", "--tp", str(tp), "--backend", "torch_native,fa2,fa3")
        found = run_harness(out, f"parity-tp{tp}", SUITE, *options)
        skew = measure_skew(read_rows(out, f"parity-tp{tp}"))
        results.add(**summarise(found), barrier_skew=skew)


def show_flex(out: Path, results: Results, sizes: list[int]) -> None:
    """flex at tp 2, whose kernels compile in the first attempt: one class, both orders."""
    if 2 in sizes:
        options = ("--repeats", "2", "--tp", "2", "--backend", "flex", "--timeout", "200")
        suite = f"{SUITE}::TestEagleBasic"
        results.add(**summarise(run_harness(out, "flex-tp2", suite, *options)))


def show_decode(_: Path, results: Results, sizes: list[int]) -> None:
    """Decode steps of the 8B shape at batch 1 and 64, beside tp 1."""
    alone: dict[int, float] = {}
    for tp in sizes:
        launch = ["torchrun", "--nproc-per-node", str(tp)] if tp > 1 else [sys.executable]
        options = ["--attention", "fa2", "--page-size", "256", "--batch", "1,64"]
        done = subprocess.run(
            [*launch, str(HERE / "decode.py"), *options],
            capture_output=True,
            text=True,
            check=False,
        )
        for text in filter(lambda line: line.startswith("{"), done.stdout.splitlines()):
            line = json.loads(text)
            alone.setdefault(line["batch"], line["graph_ms"])
            results.add(**line, speed_up=round(alone[line["batch"]] / line["graph_ms"], 2))
        if done.returncode:
            results.add(tp=tp, error=done.stderr.strip().splitlines()[-1:])


def show_rate(out: Path, results: Results, sizes: list[int]) -> None:
    """Attempts per minute at tp 1 on 1 to 8 devices."""
    alone = 0.0
    for count in sizes:
        arguments = ("--repeats", str(12 * count), "--tp", "1", *FEW)
        found = run_harness(out, f"rate-{count}", SUITE, *arguments, gpus=count)
        rate = compute_rate(read_rows(out, f"rate-{count}"))
        alone = alone or rate
        results.add(
            **summarise(found),
            devices=count,
            attempts_per_minute=round(rate, 1),
            speed_up=round(rate / alone, 2),
        )


def show_mixed(out: Path, results: Results, sizes: list[int]) -> None:
    """Gangs of several sizes in one run: how long devices stand idle, and the longest wait."""
    wanted = ",".join(map(str, [1, *(size for size in sizes if size in (2, 4))]))
    found = run_harness(out, "mixed", SUITE, "--repeats", "8", "--tp", wanted, *FEW)
    rows = read_rows(out, "mixed")
    seconds: dict[int, list[float]] = {}
    for row in rows:
        seconds.setdefault(len(row.devices), []).append(row.wall_seconds)
    results.add(
        **summarise(found),
        idle_share=round(compute_idle(rows), 3),
        longest_wait_s=find_waits(rows),
        median_s={size: round(statistics.median(took), 2) for size, took in seconds.items()},
    )


def show_kills(out: Path, results: Results, sizes: list[int]) -> None:
    """Rank 1 is killed before a graph, during a replay and in a collective: the run goes on."""
    if 2 in sizes:
        moments = "KILLED_AT=graph,replay,collective,never"
        options = ("--repeats", "2", "--tp", "2", "--order", "ascending", "--backend", "fa2")
        found = run_harness(out, "kills", KILLED, *options, "--env", moments)
        used = subprocess.run(
            ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=True,
        )
        failures = found.get("run", {}).get("signatures")
        gone = measure_ends(read_rows(out, "kills"))
        results.add(
            **summarise(found),
            failures=[(one["n"], one["signature"]) for one in failures or ()],
            gone_after_s=gone,
            memory_after=used.stdout.split(),
        )


def show_control(out: Path, results: Results, sizes: list[int]) -> None:
    """The positive control at tp 2, 50 repeats per order: 20 % ascending, none descending."""
    if 2 in sizes:
        options = ("--repeats", "50", "--tp", "2")
        results.add(**summarise(run_harness(out, "control", CONTROL, *options)))


PARTS: dict[str, Callable[[Path, Results, list[int]], None]] = {
    "parity": show_parity,
    "flex": show_flex,
    "decode": show_decode,
    "rate": show_rate,
    "mixed": show_mixed,
    "kills": show_kills,
    "control": show_control,
}


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=PARTS, required=True)
    parser.add_argument("--out", type=Path, default=Path("multi-gpu"))
    parser.add_argument("--sizes", default="1,2,4,8", help="gang sizes, or numbers of devices")
    parser.add_argument("--seconds", type=float, default=450.0, help="limit of one run")
    options = parser.parse_args()
    LIMIT["seconds"] = options.seconds
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("NCCL_NVLS_ENABLE", "0")
    gpus, results = count_gpus(), Results(options.out / f"{options.part}.json")
    sizes = [size for size in map(int, options.sizes.split(",")) if size <= gpus]
    results.add(part=options.part, gpus=gpus, date=time.strftime("%Y-%m-%d"), sizes=sizes)
    PARTS[options.part](options.out, results, sizes)


if __name__ == "__main__":
    main()

"""What several GPUs of one host show, in parts that each end within 8 minutes on 2 GPUs.

    python benchmarks/gpu/multi_gpu.py --part parity --out FOLDER

Rates and shares are those of a run's second half, when zygotes have learned what to import and the
disk is warm. Each part prints its result as JSON lines, and writes it to FOLDER/PART.json as it
goes. Sizes above the host's number of GPUs are left out, and said. `--sizes 2` leaves out all
others; `--seconds 150` interrupts a run after so long, and what it has stored by then is its
result.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.gpu.gang_figures import (
    compute_idle,
    compute_rate,
    find_gaps,
    find_waits,
    measure_ends,
    measure_skew,
    read_rows,
    take_late,
)

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
    target, store = out / f"{name}.run.json", str(out / f"{name}.sqlite")
    environ = dict(os.environ)
    if gpus:
        environ["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, range(gpus)))
    began = time.perf_counter()
    given = ["run", *arguments, "--store", store, "--json", str(target)]
    code, said = call_harness(given, environ)
    found: Line = {"name": name, "exit": code}
    found["wall_s"] = round(time.perf_counter() - began, 1)
    if target.exists():
        return {**found, "run": json.loads(target.read_text())}
    return {**found, "error": said.strip().splitlines()[-3:]}


def call_harness(arguments: list[str], environ: dict[str, str]) -> tuple[int, str]:
    """Run one command, interrupted at the limit; return its exit code and its stderr."""
    process = subprocess.Popen(
        [*HARNESS, *arguments],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = wait_or_interrupt(process)
    return process.returncode, said


def wait_or_interrupt(process: "subprocess.Popen[str]") -> str:
    """Wait for a run, interrupted at the limit; return what it said on stderr."""
    try:
        return process.communicate(timeout=LIMIT["seconds"])[1]
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        return process.communicate(timeout=60)[1]


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
        rows = read_rows(out, f"rate-{count}")
        rate = compute_rate(rows)
        alone = alone or rate
        results.add(
            **summarise(found),
            devices=count,
            attempts_per_minute=round(rate, 1),
            speed_up=round(rate / alone, 2) if alone else None,
            seconds=[round(row.wall_seconds, 1) for row in rows],
            gaps_s=find_gaps(rows),
        )


def show_mixed(out: Path, results: Results, sizes: list[int]) -> None:
    """Gangs of several sizes in one run: how long devices stand idle, and the longest wait."""
    wanted = ",".join(map(str, [1, *(size for size in sizes if size in (2, 4))]))
    found = run_harness(out, "mixed", SUITE, "--repeats", "16", "--tp", wanted, *FEW)
    rows = read_rows(out, "mixed")
    seconds: dict[int, list[float]] = {}
    for row in take_late(rows):
        seconds.setdefault(len(row.devices), []).append(row.wall_seconds)
    results.add(
        **summarise(found),
        idle_share=round(compute_idle(take_late(rows)), 3),
        idle_share_from_the_first=round(compute_idle(rows), 3),
        gaps_s=find_gaps(rows),
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


def show_calibrate(out: Path, results: Results, sizes: list[int]) -> None:
    """The known faults at tp 2: detection and kind, as far as the time goes."""
    if 2 in sizes:
        target = out / "calibrate.scoreboard.json"
        given = ["calibrate", "--quick", "--device", "cuda", "--tp", "2", "--json", str(target)]
        code, said = call_harness(
            [*given, "--store", str(out / "calibrate.sqlite")], dict(os.environ)
        )
        board = json.loads(target.read_text()) if target.exists() else None
        results.add(exit=code, said=said.strip().splitlines()[-3:], scoreboard=board)


PARTS: dict[str, Callable[[Path, Results, list[int]], None]] = {
    "parity": show_parity,
    "flex": show_flex,
    "decode": show_decode,
    "rate": show_rate,
    "mixed": show_mixed,
    "kills": show_kills,
    "control": show_control,
    "calibrate": show_calibrate,
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

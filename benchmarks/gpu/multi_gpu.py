"""What several GPUs of one host show, in parts that each end within 8 minutes on 2 GPUs.

    python benchmarks/gpu/multi_gpu.py --part parity --out FOLDER

Each part prints its result as JSON lines, and writes it to FOLDER/PART.json as it goes. Sizes above
the host's number of GPUs are left out, and said.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
HARNESS = [sys.executable, "-c", "from harness.cli.main import main; main()"]
SUITE = "suites/test_eagle_infer_b.py"
CONTROL = "suites/faults/test_stale_buffer.py"
KILLED = str(HERE / "test_killed_rank.py")
SIZES = (1, 2, 4, 8)
Line = dict[str, Any]


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
    began = time.perf_counter()
    done = subprocess.run(
        [
            *HARNESS,
            "run",
            *arguments,
            "--store",
            str(out / f"{name}.sqlite"),
            "--json",
            str(target),
        ],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    found: Line = {"name": name, "exit": done.returncode, "wall_s": time.perf_counter() - began}
    if target.exists():
        return {**found, "run": json.loads(target.read_text())}
    return {**found, "error": done.stderr.strip().splitlines()[-1:]}


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


def show_parity(out: Path, results: Results, gpus: int) -> None:
    """Every backend at every size, both orders, two repeats: each is checked by the reference."""
    for tp in (size for size in SIZES if size <= gpus):
        options = ("--repeats", "2", "--tp", str(tp), "--backend", "torch_native,fa2,fa3")
        results.add(**summarise(run_harness(out, f"parity-tp{tp}", SUITE, *options)))


def show_flex(out: Path, results: Results, gpus: int) -> None:
    """flex at tp 2, whose kernels compile in each attempt: one class, both orders, two repeats."""
    if gpus >= 2:
        options = ("--repeats", "2", "--tp", "2", "--backend", "flex", "--timeout", "200")
        suite = f"{SUITE}::TestEagleBasic"
        results.add(**summarise(run_harness(out, "flex-tp2", suite, *options)))


def show_decode(_: Path, results: Results, gpus: int) -> None:
    """Decode steps of the 8B shape at batch 1 and 64, beside tp 1."""
    alone: dict[int, float] = {}
    for tp in (size for size in SIZES if size <= gpus):
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


def show_rate(out: Path, results: Results, gpus: int) -> None:
    """Attempts per minute at tp 1 on 1 to 8 devices, then gangs of several sizes in one run."""
    options = ("--order", "ascending", "--backend", "fa2")
    for count in (size for size in SIZES if size <= gpus):
        arguments = ("--repeats", str(6 * count), "--tp", "1", *options)
        found = run_harness(out, f"rate-{count}", SUITE, *arguments, gpus=count)
        rate = 60 * 6 * count / found["wall_s"]
        results.add(**summarise(found), devices=count, attempts_per_minute=round(rate, 1))
    sizes = ",".join(str(size) for size in SIZES[:3] if size <= gpus)
    found = run_harness(out, "mixed", SUITE, "--repeats", "6", "--tp", sizes, *options)
    results.add(**summarise(found), tp=sizes)


def show_kills(out: Path, results: Results, gpus: int) -> None:
    """Rank 1 is killed before a graph, during a replay and in a collective: the run goes on."""
    if gpus >= 2:
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
        results.add(**summarise(found), failures=failures, memory_after=used.stdout.split("\n"))


def show_control(out: Path, results: Results, gpus: int) -> None:
    """The positive control at tp 2, 50 repeats per order: 20 % ascending, none descending."""
    if gpus >= 2:
        options = ("--repeats", "50", "--tp", "2")
        results.add(**summarise(run_harness(out, "control", CONTROL, *options)))


PARTS: dict[str, Callable[[Path, Results, int], None]] = {
    "parity": show_parity,
    "flex": show_flex,
    "decode": show_decode,
    "rate": show_rate,
    "kills": show_kills,
    "control": show_control,
}


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=PARTS, required=True)
    parser.add_argument("--out", type=Path, default=Path("multi-gpu"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("NCCL_NVLS_ENABLE", "0")
    gpus, results = count_gpus(), Results(options.out / f"{options.part}.json")
    left_out = [size for size in SIZES if size > gpus]
    results.add(part=options.part, gpus=gpus, date=time.strftime("%Y-%m-%d"), left_out=left_out)
    PARTS[options.part](options.out, results, gpus)


if __name__ == "__main__":
    main()

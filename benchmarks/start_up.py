"""How long commands take until they show something, each beside its limit. For an idle machine.

    python benchmarks/start_up.py [--times 5]

`report`, `runs` and `plan` read a store that a run of the trivial suite has filled. The medians are
of commands whose files the system has cached; the first of each is left out.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

HARNESS = [sys.executable, "-c", "from harness.cli.main import main; main()"]
ROOT = Path(__file__).resolve().parents[1]
TRIVIAL = "def test_nothing() -> None:\n    pass\n"
ENGINE = "suites/faults/test_clean_control.py"
FIRST_LINE_S, FIRST_ATTEMPT_S, COMMAND_S = 0.5, 6.0, 1.0


def time_command(folder: Path, *arguments: str) -> float:
    """Return the seconds of one command."""
    began = time.perf_counter()
    subprocess.run([*HARNESS, *arguments], cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - began


def time_run(folder: Path, suite: str, *more: str) -> tuple[float, float]:
    """Return the seconds until a run's first line, and until rank 0 of its first attempt begins."""
    began = time.time()
    with tempfile.TemporaryDirectory() as state:
        store = ["--store", f"{state}/store.sqlite"]
        command = [*HARNESS, "run", suite, "--repeats", "1", "--device", "cpu", *store, *more]
        process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        first_line = time.time() - began
        process.communicate()
    hellos = [_read_hello(path) for path in folder.glob(".harness/runs/*/*/events.jsonl")]
    return first_line, max(hellos) - began


def _read_hello(events: Path) -> float:
    for line in events.read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "hello":
            return float(event["t"])
    return 0.0


def show(name: str, seconds: list[float], limit: float) -> None:
    """Print a median beside its limit."""
    median = statistics.median(seconds)
    told = "ok" if median <= limit else "ABOVE"
    print(f"{name:44} {median:6.2f} s  limit {limit:.1f} s  {told}", flush=True)


def measure(times: int, what: Callable[[], float]) -> list[float]:
    """Return the seconds of several goes, without the first."""
    return [what() for _ in range(times + 1)][1:]


def main() -> None:
    """Measure each, and print a line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, "
          f"CPython {platform.python_version()}, {time.strftime('%Y-%m-%d')}, "
          f"load {os.getloadavg()[0]:.1f}")  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_nothing.py").write_text(TRIVIAL)
        time_command(folder, "run", "test_nothing.py", "--repeats", "20", "--device", "cpu")
        for command in ("runs", "report", "plan", "--help"):
            taken = measure(options.times, partial(time_command, folder, command))
            show(f"harness {command}", taken, COMMAND_S)
        runs = [time_run(folder, "test_nothing.py") for _ in range(options.times)]
    show("run: first line", [first for first, _ in runs], FIRST_LINE_S)
    attempts = [hello for _, hello in runs]
    show("run: first attempt, suite without the engine", attempts, FIRST_ATTEMPT_S)
    cell = ("--tp", "1", "--order", "ascending")
    engine = [time_run(ROOT, ENGINE, *cell) for _ in range(options.times)]
    show("run: first attempt, suite of the engine", [hello for _, hello in engine], FIRST_ATTEMPT_S)


if __name__ == "__main__":
    main()

"""What the start-up hook costs: an interpreter's start, `import torch`, and one capture.

    python benchmarks/hook_overhead.py [--captures] [--pairs 15]

Processes with and without the hook take turns. `--captures` times small captures on a GPU as well;
without one, recorded graphs of this project's engine are timed. Milliseconds; medians of the pairs.
`import torch` is the processor's time: seconds of a cold disk would hide the hook's milliseconds.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

START = Path(__file__).resolve().parents[1] / "harness" / "hook" / "start"
CLOCK = "import time; began = time.perf_counter(); "
TELL = "; print((time.perf_counter() - began) * 1e3)"
TORCH = f"{CLOCK}import torch{TELL}".replace("perf_counter", "process_time")
RECORDED = """
import time, torch
from harness.engine.capture.recorded import RecordedMemory
memory, x = RecordedMemory(), torch.ones(8)
memory.capture(lambda: {"y": x + 1})
began = time.perf_counter()
for bs in range(1, 101):
    memory.capture(lambda: {"y": x + 1})
print((time.perf_counter() - began) * 1e3 / 100)
"""
CUDA = """
import time, torch
x = torch.ones(8, device="cuda")
graphs = [torch.cuda.CUDAGraph() for _ in range(101)]
with torch.cuda.graph(graphs[0]): y = x + 1
began = time.perf_counter()
for bs in range(1, 101):
    with torch.cuda.graph(graphs[bs]): y = x + 1
print((time.perf_counter() - began) * 1e3 / 100)
"""


def time_start(environment: dict[str, str]) -> float:
    """Return the milliseconds of an interpreter that does nothing, read from the outside."""
    code = f"{CLOCK}import subprocess, sys; subprocess.run([sys.executable, '-c', 'pass']){TELL}"
    return time_code(code, environment)


def time_code(code: str, environment: dict[str, str]) -> float:
    """Return the milliseconds that a program printed."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.split()[-1])


def make_environments(folder: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the environment of a process without the hook, and of one with it."""
    plain = {name: value for name, value in os.environ.items() if name != "HARNESS_HOOK"}
    path = os.pathsep.join(filter(None, [str(START), plain.get("PYTHONPATH")]))
    hook = {"HARNESS_HOOK": "report", "HARNESS_HOOK_FOLDER": folder, "PYTHONPATH": path}
    return plain, {**plain, **hook}


def main() -> None:
    """Time each part in turns, and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--captures", action="store_true")
    parser.add_argument("--pairs", type=int, default=15)
    options = parser.parse_args()
    captures = CUDA if options.captures else RECORDED
    parts = {"interpreter start": None, "import torch": TORCH, "one capture": captures}
    with tempfile.TemporaryDirectory() as folder:
        plain, hooked = make_environments(folder)
        for name, code in parts.items():
            pairs = options.pairs if code is None else max(3, options.pairs // 3)
            timed = [
                [time_start(e) if code is None else time_code(code, e) for e in (plain, hooked)]
                for _ in range(pairs)
            ]
            without, with_hook = (statistics.median(column) for column in zip(*timed, strict=True))
            more = statistics.median(hook - bare for bare, hook in timed)
            print(f"{name}: {without:.2f} ms without, {with_hook:.2f} ms with, {more:+.2f} ms")


if __name__ == "__main__":
    main()

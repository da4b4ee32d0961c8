"""Published suites under `harness run` beside one and two loops of pytest. For an idle machine.

    python benchmarks/third_party.py [--seconds 40] [--repeats 24]

The suites come with packages that are installed anyway; each is copied to a folder of its own. The
loops give each attempt a fresh process and nothing else. `harness run` isolates and records each
attempt, forked or spawned; forked, it should make at least 1.3 times the attempts of two loops.
"""

import argparse
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from harness.store.open import open_store

#: Packages, and files of their tests, which take one to three seconds with pytest's start.
SUITES = {
    "numpy": (
        "numpy/fft/tests/test_pocketfft.py",
        "numpy/lib/tests/test_histograms.py",
        "numpy/lib/tests/test_arraysetops.py",
    ),
    "networkx": ("networkx/algorithms/tests/test_core.py",),
    "sympy": ("sympy/combinatorics/tests/test_permutations.py",),
}
HARNESS = [sys.executable, "-c", "from harness.cli.main import main; main()"]


def run_loop(folder: Path, suite: list[str], seconds: float) -> list[float]:
    """Run pytest again and again for so many seconds. Return when each process ended."""
    ends, began = [], time.perf_counter()
    while (now := time.perf_counter()) - began < seconds:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *suite]
        subprocess.run(command, cwd=folder, check=False, capture_output=True)
        ends.append(time.perf_counter() - now)
    return ends


def time_loops(folder: Path, suite: list[str], seconds: float, loops: int) -> float:
    """Return the attempts per minute of so many loops side by side."""
    found: list[list[float]] = [[] for _ in range(loops)]

    def work(index: int) -> None:
        found[index] = run_loop(folder, suite, seconds)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(loops)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(60 * len(ends) / sum(ends) for ends in found)


def time_harness(
    folder: Path, suite: list[str], repeats: int, more: list[str]
) -> dict[str, object]:
    """Return the attempts per minute of a run, from its first lease to its last end."""
    with tempfile.TemporaryDirectory() as state:
        store = f"{state}/store.sqlite"
        arguments = ["--repeats", str(repeats), "--device", "cpu", "--tp", "1", "--store", store]
        done = subprocess.run(
            [*HARNESS, "run", *suite, *arguments, *more],
            cwd=folder,
            check=False,
            capture_output=True,
            text=True,
        )
        opened = open_store(store, write=False)
        rows = opened.attempts(opened.run("latest").id)
    wall = max(r.started + r.wall_seconds for r in rows) - min(r.started for r in rows)
    statuses = sorted({row.status.value for row in rows})
    return {"per_minute": 60 * len(rows) / wall, "statuses": statuses, "exit": done.returncode}


def main() -> None:
    """Measure each project, and print a line per way of running it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=40.0, help="of each loop")
    parser.add_argument("--repeats", type=int, default=24, help="attempts of each run")
    options = parser.parse_args()
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, "
          f"CPython {platform.python_version()}, {time.strftime('%Y-%m-%d')}, "
          f"load {os.getloadavg()[0]:.1f}")  # fmt: skip
    for name, paths in SUITES.items():
        with tempfile.TemporaryDirectory() as folder:
            for path in paths:
                _copy_tests(Path(folder), path)
            suite = ["."]
            one, two = (time_loops(Path(folder), suite, options.seconds, n) for n in (1, 2))
            print(f"{name}: one loop {one:.1f}, two loops {two:.1f} attempts a minute", flush=True)
            for isolation in ("fork", "spawn"):
                more = ["--isolation", isolation]
                found = time_harness(Path(folder), suite, options.repeats, more)
                rate = found["per_minute"]
                assert isinstance(rate, float)
                print(f"{name}: {isolation} {rate:.1f} a minute, {rate / one:.2f}x one loop, "
                      f"{rate / two:.2f}x two (goal 1.3x, forked); {found['statuses']}",
                      flush=True)  # fmt: skip


def _copy_tests(folder: Path, path: str) -> None:
    package, _, inside = path.partition("/")
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None
    shutil.copy(Path(spec.origin).parent / inside, folder)
    (folder / "pytest.ini").write_text("[pytest]\n")


if __name__ == "__main__":
    main()

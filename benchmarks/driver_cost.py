"""What the driver itself costs: trivial attempts per second, and its CPU and memory per attempt.

    python benchmarks/driver_cost.py [--attempts 1000] [--many 10000]

The first part makes real attempts of a test that does nothing (goal: 12 per second on 2 cores).
The second runs the driver's loop on a pool that answers at once, 20 tests an attempt, so that its
CPU is the driver's alone (goal: 5 ms an attempt, and memory that does not grow).
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.core.cell import Cell
from harness.core.plan import Plan, PlannedCell, plan_to_dict
from harness.core.records import RunRecord
from harness.driver.context import RunContext
from harness.driver.execution import Session, execute
from harness.driver.interruption import Interruption
from harness.driver.options import RunOptions
from harness.driver.outputs import Outputs
from harness.driver.queue import list_planned
from harness.store.open import open_store

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.driver.fake_pool import FakePool, make_record

HARNESS = [sys.executable, "-c", "from harness.cli.main import main; main()"]
TESTS = 20


def time_trivial(attempts: int, isolation: str) -> float:
    """Return the attempts per second of a test that does nothing, from first to last."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
        store = f"{folder}/store.sqlite"
        options = ["--repeats", str(attempts), "--device", "cpu", "--tp", "1", "--store", store]
        command = [*HARNESS, "run", "test_nothing.py", "--isolation", isolation, *options]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        opened = open_store(store, write=False)
        rows = opened.attempts(opened.run("latest").id)
    ends = [row.started + row.wall_seconds for row in rows]
    return len(rows) / (max(ends) - min(row.started for row in rows))


def read_resident_mib() -> float:
    """Return the memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / (1 << 20)


def time_driver(attempts: int) -> None:
    """Print the driver's CPU per attempt and its memory on the way."""
    os.chdir(tempfile.mkdtemp())
    cell = Cell((("order", "ascending"), ("tp", 1)))
    plan = Plan((PlannedCell("s.py", cell),), attempts, 7, False, False)
    record = RunRecord("r", time.time(), 7, "cpu", plan_to_dict(plan), {}, {"sha": None})
    context = RunContext(record, plan, RunOptions(suites=("s.py",), repeats=attempts), "spawn")
    context.folder.mkdir(parents=True)
    ended = make_record(*((f"s.py::test_{i}", "passed") for i in range(TESTS)))
    pool, held = FakePool(lambda _: ended), {"attempts": 0}

    def note_memory() -> None:
        held["attempts"] += 1
        del pool.specs[:]
        if held["attempts"] % max(attempts // 5, 1) == 0:
            print(f"  {held['attempts']} attempts: {read_resident_mib():.0f} MiB", flush=True)

    pool.before_wait = note_memory
    with open_store("store.sqlite", write=True) as store:
        store.add_run(record)
        session = Session(store, Outputs({}, quiet=True), Interruption())
        began = time.process_time()
        execute(context, pool, session, list_planned(plan))
        taken = time.process_time() - began
    print(f"driver: {1e3 * taken / attempts:.2f} ms CPU an attempt of {TESTS} tests (goal 5 ms)")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attempts", type=int, default=1000)
    parser.add_argument("--many", type=int, default=10_000)
    options = parser.parse_args()
    print(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, "
          f"CPython {platform.python_version()}, {time.strftime('%Y-%m-%d')}, "
          f"load {os.getloadavg()[0]:.1f}")  # fmt: skip
    # Spawned attempts are timed beside the forked ones, which the goal is about.
    wanted = {"fork": options.attempts, "spawn": options.attempts // 5}
    for isolation, attempts in wanted.items() if options.attempts else ():
        rate = time_trivial(attempts, isolation)
        print(f"trivial test, {isolation}: {rate:.1f} attempts a second (goal 12)", flush=True)
    if options.many:
        time_driver(options.many)


if __name__ == "__main__":
    main()

"""Time, size and memory of every output format: 12 cells of 833 attempts, 20 tests each.

    python benchmarks/statistics/report_formats.py [--attempts 833] [--seed 20261123]

Each format is written by a process of its own, so that its peak memory is its own: the store is
read, the run judged, the file written. The time of the writing alone is printed beside the whole.
"""

import argparse
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from analysis import TESTS, fill
from where import header

from harness.analysis.build_report import report_run
from harness.core.cell import Axis, cross
from harness.core.plan import Plan, PlannedCell
from harness.driver.export import make_export
from harness.report.formats.registry import FORMATS
from harness.store.open import open_store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attempts", type=int, default=833)
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--write", nargs=3, metavar=("STORE", "FORMAT", "PATH"))
    args = parser.parse_args()
    if args.write:
        write(*args.write)
        return
    axes = [Axis("order", ("ascending", "descending", "shuffled")),
            Axis("backend", ("fa2", "fa3", "flex", "torch_native"))]  # fmt: skip
    cells = tuple(PlannedCell("suite.py", cell) for cell in cross(axes))
    plan = Plan(cells, args.attempts, args.seed, False, False)
    print(header())
    print(f"{len(cells)} cells x {args.attempts} attempts x {TESTS} tests\n")
    print("| format | writing, s | reading and judging, s | size, MB | peak memory, MB |")
    print("|---|---:|---:|---:|---:|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store.sqlite"
        fill(store, plan, random.Random(args.seed))
        for name in FORMATS:
            path = str(Path(folder) / name)
            command = [sys.executable, __file__, "--write", str(store), name, path]
            subprocess.run(command, check=True)


def write(location: str, name: str, path: str) -> None:
    """Write one format and print its row of the table."""
    begun = time.perf_counter()
    store = open_store(location, write=False)
    record = store.run("latest")
    attempts = store.attempts(record.id)
    judged = report_run(record, attempts, store.test_counts(record.id))
    export = make_export(store, record, attempts, judged.report)
    ready = time.perf_counter()
    FORMATS[name].write(export, Path(path))
    done = time.perf_counter()
    store.close()
    written = Path(path)
    files = list(written.iterdir()) if written.is_dir() else [written]
    size = sum(file.stat().st_size for file in files) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(
        f"| {name} | {done - ready:.2f} | {ready - begun:.2f} | {size:.1f} | {peak:.0f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()

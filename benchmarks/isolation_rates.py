"""Do forked and spawned attempts fail equally often? The positive control both ways.

    python benchmarks/isolation_rates.py [--repeats 60] [--device cpu|cuda]

The control fails in a fifth of the attempts that capture in ascending order. Printed are both
rates, the 95 % interval of each, and the exact p-value of their difference: a small one would mean
that forking changes what is measured. Equality cannot be proven.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter

from harness.core.statuses import AttemptStatus
from harness.stats.exact_tests import compute_boschloo_p
from harness.stats.intervals import compute_clopper_pearson
from harness.store.open import open_store

HARNESS = [sys.executable, "-c", "from harness.cli.main import main; main()"]
CONTROL = "suites/faults/test_stale_buffer.py"


def count_failures(isolation: str, repeats: int, device: str) -> tuple[int, int, Counter[str]]:
    """Return failed and valid attempts of one run, and their signatures."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"{folder}/store.sqlite"
        options = ["--repeats", str(repeats), "--order", "ascending", "--tp", "1", "--seed", "11"]
        options += ["--device", device, "--isolation", isolation, "--store", store]
        options += ["--backend", "torch_native" if device == "cpu" else "fa2"]
        subprocess.run([*HARNESS, "run", CONTROL, *options], check=False, capture_output=True)
        opened = open_store(store, write=False)
        rows = opened.attempts(opened.run("latest").id)
    valid = [row for row in rows if row.status in (AttemptStatus.PASSED, AttemptStatus.FAILED)]
    failed = [row for row in valid if row.status is AttemptStatus.FAILED]
    assert {row.isolation for row in valid} == {isolation}
    return len(failed), len(valid), Counter(row.signature or "" for row in failed)


def main() -> None:
    """Measure both ways, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    print(f"{CONTROL}, ascending, tp 1, {options.device}, {time.strftime('%Y-%m-%d')}")
    counts = []
    for isolation in ("fork", "spawn"):
        failed, valid, signatures = count_failures(isolation, options.repeats, options.device)
        bounds = compute_clopper_pearson(failed, valid)
        print(f"{isolation}: {failed}/{valid} failed, [{bounds.low:.0%}, {bounds.high:.0%}], "
              f"{len(signatures)} signatures", flush=True)  # fmt: skip
        counts += [failed, valid]
    print(f"p of a difference: {compute_boschloo_p(*counts):.2f}")


if __name__ == "__main__":
    main()

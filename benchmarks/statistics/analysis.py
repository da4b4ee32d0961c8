"""Time to analyse a large run: 12 cells of 833 attempts, 20 tests each.

    python benchmarks/statistics/analysis.py [--attempts 833] [--seed 20261123]

The statistics alone, imports included: an interval per cell and per test and cell, the 11 contrasts
against the reference cell with Holm, the infrastructure share across cells, their sentences.
Reading the store is not part of it.
"""

import argparse
import time

import numpy as np
from where import header

from harness.stats.infra import infra_share_p
from harness.stats.intervals import clopper_pearson
from harness.stats.question import CellOutcomes, PlannedContrast, Question
from harness.stats.verdict import decide

CELLS, TESTS = 12, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--attempts", type=int, default=833)
    parser.add_argument("--seed", type=int, default=20261123)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    rates = np.linspace(0.02, 0.2, CELLS)
    runs = {
        f"cell {i}": (rng.random(args.attempts) < rate).tolist() for i, rate in enumerate(rates)
    }
    tests = rng.binomial(args.attempts, 0.01, (CELLS, TESTS)).tolist()
    started = time.perf_counter()
    cells = {name: CellOutcomes(outcomes) for name, outcomes in runs.items()}
    for name, cell in cells.items():
        clopper_pearson(cell.failed, cell.valid)
        for k in tests[list(cells).index(name)]:
            clopper_pearson(k, cell.valid)
    reference, *arms = cells
    planned = tuple(PlannedContrast(arm, reference, arm, reference) for arm in arms)
    verdict = decide(Question(planned), cells)
    infra_share_p([(cell.infra, cell.valid) for cell in cells.values()])
    seconds = time.perf_counter() - started
    print(header())
    print(f"{CELLS} cells x {args.attempts} attempts x {TESTS} tests, "
          f"{len(verdict.contrasts)} contrasts: {seconds:.2f} s")  # fmt: skip


if __name__ == "__main__":
    main()

"""How often the interval clustered by zygote misses the true rate, and how wide it is.

    python benchmarks/statistics/clustered.py [--runs 1000] [--seed 20261125]

Cells of 100 attempts, ten of each zygote; rates of zygotes are drawn around the cell's with an
intraclass correlation. As in a report: clustered if `find_clusters` sees that zygotes differ.
"""

import argparse
from functools import cache

import numpy as np
from where import header

from harness.stats.intervals import compute_clopper_pearson
from harness.stats.units import Units, find_clusters

ZYGOTES, EACH = 10, 10


def draw(rng: np.random.Generator, rate: float, icc: float) -> Units:
    """Return failed and all attempts of each zygote of one cell."""
    rates = np.full(ZYGOTES, rate)
    if icc:
        rest = (1 - icc) / icc
        rates = rng.beta(rate * rest, (1 - rate) * rest, ZYGOTES)
    return {i: (int(k), EACH) for i, k in enumerate(rng.binomial(EACH, rates))}


def miss(rng: np.random.Generator, rate: float, icc: float) -> tuple[bool, bool, float]:
    """Return whether the plain and the printed interval miss, and how much wider the latter is."""
    cells = {name: draw(rng, rate, icc) for name in ("a", "b")}
    cells["b"] = {f"b{i}": unit for i, unit in cells["b"].items()}
    clusters = find_clusters(cells)
    k, n = sum(k for k, _ in cells["a"].values()), ZYGOTES * EACH
    plain = bound(k, n)
    printed = plain if clusters is None else clusters.widen(compute_clopper_pearson)(k, n, 0.95)
    outside = [not one.low <= rate <= one.high for one in (plain, printed)]
    return outside[0], outside[1], (printed.high - printed.low) / (plain.high - plain.low)


bound = cache(compute_clopper_pearson)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=20261125)
    args = parser.parse_args()
    print(header())
    print("| rate | correlation within a zygote | plain misses | printed misses | width |")
    print("|---|---|---|---|---|")
    for rate in (0.05, 0.2):
        for icc in (0.0, 0.05, 0.1, 0.2, 0.4):
            rng = np.random.default_rng([args.seed, round(1000 * rate), round(1000 * icc)])
            found = np.array([miss(rng, rate, icc) for _ in range(args.runs)])
            plain, printed, width = found.mean(axis=0)
            print(f"| {rate} | {icc} | {plain:.1%} | {printed:.1%} | x{width:.2f} |", flush=True)


if __name__ == "__main__":
    main()

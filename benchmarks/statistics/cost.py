"""Attempts per cell to a verdict at 80 % power: until decided, fixed n, and the least possible.

    python benchmarks/statistics/cost.py [--paths 20000] [--seed 20261123]

`cap` is the plan that reaches 80 % power, `mean` what a run under it spends on average. `Boschloo`
is the fixed n of the exact test (Fisher's above 200). `known rates` is Wald's lower bound (1947)
on the mean of any test that errs at most 5 % at the nearest common rate and finds 80 %. The last
table plans for 0.2 against 0 and meets another truth.
"""

import argparse
import math

from where import header

from harness.stats.attempts_needed import simulate_decisions
from harness.stats.contrasts import ALPHA
from harness.stats.power import attempts_needed_fixed

POWER = 0.8
GRID = (
    (0.5, 0.0), (0.3, 0.0), (0.2, 0.0), (0.1, 0.0), (0.05, 0.0),
    (0.5, 0.1), (0.3, 0.1), (0.2, 0.05), (0.2, 0.01), (0.1, 0.01), (0.9, 0.5), (0.7, 0.3),
)  # fmt: skip
TRUTHS = ((0.5, 0.0), (0.3, 0.0), (0.1, 0.0), (0.2, 0.01), (0.3, 0.1), (0.5, 0.1))


def divergence(p: float, q: float) -> float:
    """Kullback-Leibler divergence of two Bernoulli rates."""
    terms = ((p, q), (1 - p, 1 - q))
    return sum(a * math.log(a / b) for a, b in terms if a > 0)


def least_mean(rate: float, target: float) -> float:
    """Wald's bound on the mean number of blocks, with both rates known in advance."""
    mean = (rate + target) / 2
    each = divergence(rate, mean) + divergence(target, mean)
    return (POWER * math.log(POWER / ALPHA) + 0.2 * math.log(0.2 / (1 - ALPHA))) / each


def spent(times: list[int], cap: int) -> float:
    return sum(min(time, cap) for time in times) / len(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--paths", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=20261123)
    args = parser.parse_args()
    print(header())
    print("| truth = planned | cap | mean | Boschloo n | mean / n | known rates |")
    print("|---|---|---|---|---|---|")
    for rate, target in GRID:
        times = simulate_decisions(rate, target, POWER, seed=args.seed, paths=args.paths)
        cap = sorted(times)[math.ceil(POWER * len(times)) - 1]
        fixed, mean = attempts_needed_fixed(rate, target).n, spent(times, cap)
        print(f"| {rate:g} against {target:g} | {cap} | {mean:.1f} | {fixed} | "
              f"{mean / fixed:.2f} | {least_mean(rate, target):.1f} |", flush=True)  # fmt: skip
    planned = attempts_needed_fixed(0.2, 0.0).n
    print(f"\nplanned for 0.2 against 0 (fixed n = {planned}); the run goes on until decided\n")
    print("| truth | median | mean to a verdict | mean / planned n |")
    print("|---|---|---|---|")
    for rate, target in TRUTHS:
        times = simulate_decisions(
            rate, target, 1.0, expected=(0.2, 0.0), seed=args.seed, paths=args.paths
        )
        mean = spent(times, max(times))
        print(f"| {rate:g} against {target:g} | {sorted(times)[len(times) // 2]} | {mean:.1f} | "
              f"{mean / planned:.2f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()

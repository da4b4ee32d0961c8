"""Attempts that finding a flaky commit takes, and how often the right one is named.

    python benchmarks/statistics/bisection.py [--runs 200] [--commits 64] [--seed 20261124]

The search of `harness bisect`: posterior over commits, next commit by expected entropy, four
attempts a step, stop at 95 %. Beside it: ordinary bisection with a fixed number of attempts a step.
"""

import argparse

import numpy as np
from where import header

from harness.stats.culprit import ENOUGH, Tally, choose_commit, weigh_commits

STEP = 4


def search(rng: np.random.Generator, commits: int, rates: tuple[float, float]) -> tuple[bool, int]:
    """Return whether the right commit was named, and the attempts it took."""
    culprit, spent = int(rng.integers(1, commits)), 0
    tallies = [Tally()] * commits
    while True:
        beliefs = weigh_commits(tallies)
        at = choose_commit(beliefs)
        if beliefs.chances.max() >= ENOUGH or at is None:
            return beliefs.best == culprit, spent
        failed = int(rng.binomial(STEP, rates[at >= culprit]))
        tallies[at] = Tally(tallies[at].failed + failed, tallies[at].passed + STEP - failed)
        spent += STEP


def bisect_plainly(
    rng: np.random.Generator, commits: int, rates: tuple[float, float], repeats: int
) -> tuple[bool, int]:
    """Return the same of an ordinary bisection with so many attempts a step.

    A commit is called bad if its share of failures is nearer to the bad rate than to the good one.
    """
    culprit, spent, good, bad = int(rng.integers(1, commits)), 0, 0, commits - 1
    while bad - good > 1:
        middle = (good + bad) // 2
        failed = int(rng.binomial(repeats, rates[middle >= culprit]))
        spent += repeats
        if failed > repeats * sum(rates) / 2:
            bad = middle
        else:
            good = middle
    return bad == culprit, spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--commits", type=int, default=64)
    parser.add_argument("--seed", type=int, default=20261124)
    args = parser.parse_args()
    print(header())
    print("| rates before and after | search | attempts | right |\n|---|---|---|---|")
    for rates in ((0.02, 0.2), (0.0, 0.2), (0.02, 0.5), (0.05, 0.3)):
        rng = np.random.default_rng(args.seed)
        found = [search(rng, args.commits, rates) for _ in range(args.runs)]
        show(rates, "posterior", found)
        for repeats in (20, 30, 40, 50, 60):
            plain = [bisect_plainly(rng, args.commits, rates, repeats) for _ in range(args.runs)]
            show(rates, f"bisection, {repeats} a step", plain)


def show(rates: tuple[float, float], name: str, found: list[tuple[bool, int]]) -> None:
    right, spent = (float(np.mean([one[i] for one in found])) for i in (0, 1))
    print(f"| {rates[0]}, {rates[1]} | {name} | {spent:.0f} | {right:.1%} |", flush=True)


if __name__ == "__main__":
    main()

"""How often a contrast of equal rates ends in a verdict of difference, in both stopping modes.

    python benchmarks/statistics/contrasts.py [--runs 10000] [--blocks 50] [--seed 20261123]

m arms against one reference, all failing at the same rate p. Infrastructure takes from the arms:
nothing; 15 % at random; half of their failures; half of their passes. The last two make valid
attempts alone show a difference that is not there. A run is wrong if any of its m contrasts is
called different.
"""

import argparse

import numpy as np
from where import header

from harness.stats.attempts_needed import compute_one_sided_e
from harness.stats.contrasts import ALPHA
from harness.stats.exact_tests import build_boschloo_region
from harness.stats.infrastructure import INFRA_ALPHA
from harness.stats.sequential import compute_threshold

RATES = (0.02, 0.1, 0.3, 0.5)
#: Share of failures and of passes that infrastructure takes.
LOSSES = {
    "none": (0.0, 0.0),
    "15 % at random": (0.15, 0.15),
    "half of the failures": (0.5, 0.0),
    "half of the passes": (0.0, 0.5),
}


def fixed(failed: np.ndarray, lost: np.ndarray, base: np.ndarray, m: int) -> np.ndarray:
    """Which runs call an arm different at a fixed n: Holm's first step, worst case, infra share.

    Under equal rates Holm rejects something exactly where the smallest p is at most alpha/m. With
    infrastructure counted in, both cells have all n attempts, so a table settles each test.
    """
    n = failed.shape[-1]
    k, infra, reference = (failed & ~lost).sum(-1), lost.sum(-1), base.sum(-1)[:, None]
    arm_is_worse = k * n >= reference * (n - infra)
    worst = np.where(arm_is_worse, k, k + infra)
    same_sign = np.where(arm_is_worse, worst > reference, worst < reference)
    differs = build_boschloo_region(n, ALPHA / m)[worst, reference] & same_sign
    share_differs = build_boschloo_region(n, INFRA_ALPHA)[infra, 0]
    found: np.ndarray = (differs & ~share_differs).any(axis=1)
    return found


def sequential(failed: np.ndarray, lost: np.ndarray, base: np.ndarray, m: int) -> np.ndarray:
    """Which runs call an arm different at any look: the worst-case e-process ever at m/alpha.

    The infrastructure share, which only turns verdicts into "cannot say", is left out.
    """
    found = np.zeros(len(failed), dtype=bool)
    for arm in range(m):
        for imputed in (False, True):
            fails = np.where(lost[:, arm], imputed, failed[:, arm])
            code = 2 * fails + base
            counts = np.cumsum(code[..., None] == np.arange(4), axis=1)
            e = compute_one_sided_e(counts[..., [0, 2, 1, 3]] if imputed else counts) / 2
            found |= (e >= compute_threshold(m)).any(axis=1)
    return found


def row(rng: np.random.Generator, runs: int, n: int, rate: float, loss: str) -> list[float]:
    told = []
    for m in (1, 6):
        failed, base = rng.random((runs, m, n)) < rate, rng.random((runs, n)) < rate
        lost = rng.random(failed.shape) < np.where(failed, *LOSSES[loss])
        told += [fixed(failed, lost, base, m).mean(), sequential(failed, lost, base, m).mean()]
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--blocks", type=int, default=50)
    parser.add_argument("--seed", type=int, default=20261123)
    args = parser.parse_args()
    print(header())
    print(f"{args.blocks} attempts per cell\n")
    print("| infrastructure takes | p | fixed, m = 1 | until decided, m = 1 | fixed, m = 6 "
          "| until decided, m = 6 |")  # fmt: skip
    print("|---|---|---|---|---|---|")
    rng = np.random.default_rng(args.seed)
    for loss in LOSSES:
        for rate in RATES:
            told = row(rng, args.runs, args.blocks, rate, loss)
            shares = " | ".join(f"{100 * share:.2f} %" for share in told)
            print(f"| {loss} | {rate:g} | {shares} |", flush=True)


if __name__ == "__main__":
    main()

"""How often the printed interval ever excludes the true rate, looked at all along.

    python benchmarks/statistics/peeking.py [--runs 10000] [--attempts 200] [--seed 20261123]

Eight gangs take attempts in lease order; a pass takes 3 s, a failure hangs for 60 s. A run counts
as wrong if any look of it excluded the truth. Beside the printed interval (confidence sequence on
the longest completed prefix): the interval of one test or kind (the same on attempts as they
finish, those in flight before the last that finished counted both ways), the same without those in
flight, and Clopper-Pearson looks.
"""

import argparse
from collections.abc import Callable
from functools import cache

import numpy as np
from where import header

from harness.stats.intervals import Interval, compute_clopper_pearson, compute_confidence_sequence

GANGS, PASS_S, HANG_S = 8, 3.0, 60.0
RATES = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
COLUMNS = ("printed", "per test", "sequence, as finished", "exact, prefix", "exact, as finished")


def finish_times(failed: np.ndarray) -> np.ndarray:
    """When each attempt of each run ends: the gang free first takes the next lease."""
    free = np.zeros((len(failed), GANGS))
    ends = np.empty(failed.shape)
    runs = np.arange(len(failed))
    for attempt in range(failed.shape[1]):
        gang = free.argmin(axis=1)
        free[runs, gang] += np.where(failed[:, attempt], HANG_S, PASS_S)
        ends[:, attempt] = free[runs, gang]
    return ends


def excluded(method: Callable[[int, int], Interval], n: int, rate: float) -> np.ndarray:
    """Table [attempts, failures] of whether the interval leaves out the rate."""
    table = np.zeros((n + 1, n + 1), dtype=bool)
    for attempts in range(1, n + 1):
        for k in range(attempts + 1):
            found = method(k, attempts)
            table[attempts, k] = not found.low <= rate <= found.high
    return table


def ever_wrong(failed: np.ndarray, looks: np.ndarray, table: np.ndarray) -> float:
    """Share of runs in which some look at the leading attempts excluded the rate."""
    attempts = np.arange(1, failed.shape[1] + 1)
    wrong = table[attempts[None, :], np.cumsum(failed, axis=1)] & looks
    return float(wrong.any(axis=1).mean())


def ever_wrong_per_test(
    failed: np.ndarray, ends: np.ndarray, method: Callable[[int, int], Interval], rate: float
) -> float:
    """Share of runs in which a test's interval excluded the rate after some attempt ended."""
    n = failed.shape[1]
    bound = cache(lambda k, m: method(int(k), int(m)))
    wrong = np.zeros(len(failed), dtype=bool)
    for attempt in range(n):
        known = ends <= ends[:, attempt, None]
        last = n - known[:, ::-1].argmax(axis=1)
        k, ended = (known & failed).sum(axis=1), known.sum(axis=1)
        low = np.array([bound(*pair).low for pair in zip(k, last, strict=True)])
        most = k + last - ended
        high = np.array([bound(*pair).high for pair in zip(most, last, strict=True)])
        wrong |= (low > rate) | (high < rate)
    return float(wrong.mean())


def prefix_looks(ends: np.ndarray) -> np.ndarray:
    """Which prefix lengths are seen: those after which the next attempt is still in flight."""
    done = np.maximum.accumulate(ends, axis=1)
    return np.append(done[:, 1:] > done[:, :-1], np.ones((len(ends), 1), dtype=bool), axis=1)


def one_rate(rate: float, runs: int, attempts: int, seed: int) -> list[float]:
    failed = np.random.default_rng([seed, round(rate * 1e6)]).random((runs, attempts)) < rate
    ends = finish_times(failed)
    order = np.argsort(ends, axis=1, kind="stable")
    finished = np.take_along_axis(failed, order, axis=1)
    sorted_ends = np.take_along_axis(ends, order, axis=1)
    sequence = excluded(compute_confidence_sequence, attempts, rate)
    exact = excluded(compute_clopper_pearson, attempts, rate)
    prefix, as_finished = prefix_looks(ends), prefix_looks(sorted_ends)
    return [
        ever_wrong(failed, prefix, sequence),
        ever_wrong_per_test(failed, ends, compute_confidence_sequence, rate),
        ever_wrong(finished, as_finished, sequence),
        ever_wrong(failed, prefix, exact),
        ever_wrong(finished, as_finished, exact),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--attempts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=20261123)
    args = parser.parse_args()
    print(header())
    print("| p | " + " | ".join(COLUMNS) + " |")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for rate in RATES:
        shares = one_rate(rate, args.runs, args.attempts, args.seed)
        print(f"| {rate:g} | " + " | ".join(f"{100 * s:.1f} %" for s in shares) + " |", flush=True)


if __name__ == "__main__":
    main()

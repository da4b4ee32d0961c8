"""The best that any test could do to name a bad device on which failures hang.

    python benchmarks/statistics/hanging_device.py [--runs 4000] [--seed 20261125]

One of eight devices fails at 0.55, the others at 0.05; 200 attempts, whichever device is free takes
the next. The test knows both rates and that one device is bad, and does not know which: its
likelihood ratio is the most powerful one (Neyman and Pearson 1933). Level 0.005 is about that of
one factor among those recorded, after Holm's correction.
"""

import argparse
import heapq
import math
import random

from where import header

GANGS, ATTEMPTS, GOOD, BAD = 8, 200, 0.05, 0.55


def run(chance: random.Random, fails_s: float, rates: list[float]) -> tuple[float, int]:
    """Return the log likelihood ratio of a run, and the attempts that device 2 served."""
    free = [(0.0, gang) for gang in range(GANGS)]
    logs, served = [0.0] * GANGS, [0] * GANGS
    for _ in range(ATTEMPTS):
        now, gang = heapq.heappop(free)
        failed = chance.random() < rates[gang]
        logs[gang] += math.log(BAD / GOOD if failed else (1 - BAD) / (1 - GOOD))
        served[gang] += 1
        took = (fails_s if failed else 3.0) * chance.uniform(0.9, 1.1)
        heapq.heappush(free, (now + took + 0.05, gang))
    return math.log(sum(map(math.exp, logs)) / GANGS), served[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=20261125)
    args = parser.parse_args()
    print(header())
    print("| a failure takes | the bad device serves | named at level 0.05 | at 0.005 |")
    print("|---|---|---|---|")
    for fails_s in (3.0, 15.0, 30.0, 60.0):
        chance = random.Random(args.seed)
        bad = [GOOD] * GANGS
        bad[2] = BAD
        found = [run(chance, fails_s, bad) for _ in range(args.runs)]
        null = sorted(run(chance, fails_s, [GOOD] * GANGS)[0] for _ in range(args.runs))
        shares = [
            sum(one > null[round((1 - level) * args.runs)] for one, _ in found) / args.runs
            for level in (0.05, 0.005)
        ]
        served = sum(n for _, n in found) / args.runs
        print(f"| {fails_s:g} s | {served:.1f} of 200 | {shares[0]:.0%} | {shares[1]:.0%} |")


if __name__ == "__main__":
    main()

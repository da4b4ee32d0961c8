"""How often the factor that failures follow is named, and how often one is named where none is.

    python benchmarks/statistics/attribution.py [--runs 300] [--null-runs 1000] [--seed 20261123]

A run: 2 orders x 2 decode backends x 2 draft backends, 50 attempts per cell, interleaved in a
random order over 4 devices on 2 nodes; a zygote serves 10 attempts of a device, the first of which
find a cold cache. Half of the true factor's levels (one of two) fail 0.3 more often than the rest
(0.35 against 0.05); zygote levels are drawn at random, position is the second half of the run.
"""

import argparse

import numpy as np
from where import header

from harness.stats.attribution import Attribution, Follows, attribute_failures
from harness.stats.factors import Factor

PER_CELL, BASE, MORE = 50, 0.05, 0.3
AXES = ("order", "decode backend", "draft backend")
#: These share the weight of one factor in Holm's correction, as in a run's report.
SHARING = ("device", "node", "previous cell on the device")
DEVICES, NODES, ZYGOTE_LIFE = 4, 2, 10
COLD = 2


def design(rng: np.random.Generator, per_cell: int) -> dict[str, np.ndarray]:
    """The ten recorded factors of a run, one value per attempt in lease order."""
    cells = np.concatenate([rng.permutation(8) for _ in range(per_cell)])
    n = len(cells)
    device = np.concatenate([rng.permutation(DEVICES) for _ in range(-(-n // DEVICES))])[:n]
    zygote, age, previous = np.zeros(n, int), np.zeros(n, int), np.zeros(n, int)
    for d in range(DEVICES):
        mine = np.flatnonzero(device == d)
        zygote[mine] = 1000 * d + np.arange(len(mine)) // ZYGOTE_LIFE
        age[mine] = np.arange(len(mine)) % ZYGOTE_LIFE
        previous[mine] = np.concatenate([[-1], cells[mine][:-1]])
    return {
        "order": cells // 4,
        "decode backend": cells // 2 % 2,
        "draft backend": cells % 2,
        "device": device,
        "node": device // (DEVICES // NODES),
        "zygote": zygote,
        "position in the run": np.arange(n),
        "cold cache": (age < COLD).astype(int),
        "previous cell on the device": previous,
        "host load": rng.integers(0, 2, n),
    }


def bad_levels(name: str, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Which attempts fail more often where `name` is the true factor."""
    bad: np.ndarray
    if name == "position in the run":
        bad = values >= len(values) // 2
    elif name == "device":
        bad = np.isin(values, [0, 2])
    elif name in ("zygote", "previous cell on the device"):
        levels = np.unique(values)
        bad = np.isin(values, rng.choice(levels, len(levels) // 2, replace=False))
    else:
        bad = values == 1
    return bad


def factors(recorded: dict[str, np.ndarray]) -> list[Factor]:
    return [
        Factor(
            *(name, values.tolist(), name in AXES, name == "position in the run"),
            weight=0.5 if name in SHARING else 1.0,
        )
        for name, values in recorded.items()
    ]


def share(runs: list[bool]) -> str:
    return f"{100 * sum(runs) / len(runs):.1f} %"


def simulate(rng: np.random.Generator, true: str | None, per_cell: int) -> Attribution:
    recorded = design(rng, per_cell)
    n = len(recorded["order"])
    bad = bad_levels(true, recorded[true], rng) if true else np.zeros(n, dtype=bool)
    failed = rng.random(n) < BASE + MORE * bad
    return attribute_failures(failed.tolist(), factors(recorded))


def confounded(rng: np.random.Generator, follows: bool) -> Attribution:
    """A run whose order and device vary together perfectly."""
    recorded = design(rng, PER_CELL)
    recorded["device"] = recorded["order"] * 7
    bad = recorded["order"] == 1 if follows else np.zeros(len(recorded["order"]), dtype=bool)
    failed = rng.random(len(bad)) < BASE + MORE * bad
    return attribute_failures(failed.tolist(), factors(recorded))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--null-runs", type=int, default=1000)
    parser.add_argument("--per-cell", type=int, default=PER_CELL)
    parser.add_argument("--seed", type=int, default=20261123)
    args = parser.parse_args()
    print(header())
    print("| true factor | named | named, and nothing else | verdict confounded |")
    print("|---|---|---|---|")
    for name in factor_names():
        rng = np.random.default_rng([args.seed, len(name), ord(name[0])])
        found = [simulate(rng, name, args.per_cell) for _ in range(args.runs)]
        told = (
            share([name in one.named for one in found]),
            share([one.named == (name,) for one in found]),
            share([one.verdict is Follows.CONFOUNDED for one in found]),
        )
        print(f"| {name} | " + " | ".join(told) + " |", flush=True)
    rng = np.random.default_rng([args.seed, 0])
    nulls = [simulate(rng, None, args.per_cell) for _ in range(args.null_runs)]
    none = share([not one.named for one in nulls])
    print(f"\nnone true: none named in {none} of {args.null_runs} runs")
    pairs = [confounded(rng, follows) for follows in (True, False) for _ in range(args.runs // 2)]
    called = share(["confounded" in one.sentence for one in pairs])
    print(f"order and device perfectly confounded: called so in {called} of {len(pairs)} runs")


def factor_names() -> list[str]:
    return list(design(np.random.default_rng(0), 1))


if __name__ == "__main__":
    main()

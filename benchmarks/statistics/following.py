"""Whether attribution names what failures follow, and names nothing where they follow nothing.

    python benchmarks/statistics/following.py [--runs 200] [--seed 20261124] [--only WORD]

Each run is leased in virtual time, in the plan's order, to 4 or 8 gangs; its rows go through
`attribute_run`, as a stored run's do. One axis, or two of two values each. A zygote serves ten
attempts of a gang. If failures take 300 s instead of 3 s, a gang on which they fall serves fewer.
"""

import argparse
import heapq
from dataclasses import dataclass

import numpy as np
from where import header

from harness.analysis.attribution import attribute_run
from harness.core.capture_measurement import CaptureMeasurement
from harness.core.cell import Cell
from harness.core.plan import Plan, PlannedAttempt, PlannedCell, schedule
from harness.core.records import AttemptRow
from harness.core.statuses import AttemptStatus
from harness.stats.attribution import Follows

PER_ZYGOTE = 10
ONE_AXIS = tuple(Cell((("order", o), ("tp", 1))) for o in ("ascending", "descending"))
TWO_AXES = tuple(
    Cell((("order", o), ("backend", b), ("tp", 1)))
    for o in ("ascending", "descending")
    for b in ("fa3", "triton")
)
TRUE_PAIR = ("ascending", "fa3")


@dataclass(frozen=True)
class World:
    """Attempts in all, the failure rate, what it depends on, and how long failures take."""

    name: str
    attempts: int = 200
    rate: float = 0.05
    fails_s: float = 3.0
    bad_zygotes: float = 0.0
    icc: float = 0.0
    bad_gang: float = 0.0
    pair: float = 0.0
    crossover: bool = False
    one: float = 0.0
    fork: bool = True
    gangs: int = 8
    cells: tuple[Cell, ...] = ONE_AXIS
    shares: int = 1


def simulate(world: World, seed: int) -> list[AttemptRow]:
    """Lease every attempt of a plan to whichever gang is free first."""
    rng = np.random.default_rng([seed, 77])
    repeats = world.attempts // len(world.cells)
    cells = tuple(PlannedCell("s.py", cell) for cell in world.cells)
    free = [(0.0, gang) for gang in range(world.gangs)]
    served = [0] * world.gangs
    zygote_rates: dict[tuple[int, int], float] = {}
    coming: list[bool] = []
    rows = []
    for planned in schedule(Plan(cells, repeats, seed, False, False)):
        now, gang = heapq.heappop(free)
        zygote = gang, served[gang] // PER_ZYGOTE
        served[gang] += 1
        rate = choose_rate(world, planned.cell, gang)
        if world.icc:
            rest = (1 - world.icc) / world.icc
            rate = zygote_rates.setdefault(zygote, rng.beta(rate * rest, (1 - rate) * rest))
        if world.bad_zygotes:
            if zygote not in zygote_rates and not coming:
                coming = [bool(bad) for bad in rng.permutation(2 * [True] + 2 * [False])]
            if zygote not in zygote_rates:
                zygote_rates[zygote] = rate + world.bad_zygotes * coming.pop()
            rate = zygote_rates[zygote]
        failed = bool(rng.random() < rate)
        took = (world.fails_s if failed else 3.0) * rng.uniform(0.9, 1.1)
        rows.append(make_row(world, planned, failed, (gang, zygote[1], now, took)))
        heapq.heappush(free, (now + took + 0.05, gang))
    return rows


def choose_rate(world: World, cell: Cell, gang: int) -> float:
    order, backend = cell.get("order"), cell.get("backend")
    same = (order == "ascending") == (backend == "fa3")
    in_pair = same if world.crossover else (order, backend) == TRUE_PAIR
    more = world.pair * in_pair + world.bad_gang * (gang == 2) + world.one * (order == "ascending")
    return world.rate + more


def make_row(
    world: World, planned: PlannedAttempt, failed: bool, lease: tuple[int, int, float, float]
) -> AttemptRow:
    gang, zygote, started, took = lease
    return AttemptRow(
        id=f"r.{planned.position}", run_id="r", position=planned.position, replaces=0,
        suite=planned.suite, cell=planned.cell.key, repeat=planned.repeat, seed=planned.seed,
        status=AttemptStatus.FAILED if failed else AttemptStatus.PASSED, kind=None, phase=None,
        signature=None, message=None, failed_test=None,
        devices=[f"gpu:{gang // world.shares}"], node=f"n{gang // 4}",
        zygote=f"{gang}.{zygote}" if world.fork else f"{gang}",
        isolation="fork" if world.fork else "spawn", started=started, wall_seconds=took,
        inside_seconds=took, capture=CaptureMeasurement(), replays={}, notes=[], folder="f",
        log_tails={},
    )  # fmt: skip


NULLS = (
    World("null, equal durations, rate 0.05"),
    World("null, equal durations, rate 0.2", rate=0.2),
    World("null, failures 300 s, rate 0.05", fails_s=300),
    World("null, failures 300 s, rate 0.15", rate=0.15, fails_s=300),
    World("null, failures 300 s, rate 0.05, spawn", fails_s=300, fork=False),
    World("null, failures 60 s, 2 x 2 cells", rate=0.1, fails_s=60, cells=TWO_AXES),
    World("null, failures 60 s, two gangs a GPU", rate=0.1, fails_s=60, shares=2),
)
TRUTHS = (
    (World("zygote: half of them 0.35, else 0.05; 104 attempts", 104, bad_zygotes=0.3, gangs=4),
     {"zygote"}),
    (World("zygote: the same, 200 attempts", 200, bad_zygotes=0.3, gangs=4), {"zygote"}),
    (World("zygote: rates vary with ICC 0.2, 200 attempts", 200, 0.2, icc=0.2), {"zygote"}),
    (World("zygote: the same, failures 60 s", 200, 0.2, 60, icc=0.2), {"zygote"}),
    (World("device, spawn: one of 8 fails 0.55, else 0.05", bad_gang=0.5, fork=False), {"device"}),
    (World("device, spawn, failures 60 s", bad_gang=0.5, fork=False, fails_s=60), {"device"}),
    (World("device, fork: one of 4 fails 0.35, else 0.05; 400", 400, bad_gang=0.3, gangs=4),
     {"device"}),
    (World("order and backend: 0.35 for one pair, else 0.05", cells=TWO_AXES, pair=0.3),
     {"order", "backend"}),
    (World("order and backend, crossover", cells=TWO_AXES, pair=0.3, crossover=True),
     {"order", "backend"}),
    (World("order alone: 0.35, else 0.05; 2 x 2 cells", cells=TWO_AXES, one=0.3), {"order"}),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    print(header())
    print("| null | a factor named | which |\n|---|---|---|")
    for world in NULLS:
        if args.only in world.name:
            found = [attribute_run(simulate(world, args.seed + i)) for i in range(args.runs)]
            named = [name for one in found for name in one.named]
            which = ", ".join(f"{n} {named.count(n)}" for n in dict.fromkeys(named))
            print(f"| {world.name} | {share([bool(one.named) for one in found])} | {which} |",
                  flush=True)  # fmt: skip
    print("\n| truth | named | alone | confounded with another | another named instead |")
    print("|---|---|---|---|---|")
    for world, truth in TRUTHS:
        if args.only in world.name:
            found = [attribute_run(simulate(world, args.seed + i)) for i in range(args.runs)]
            right = [truth <= set(one.named) for one in found]
            alone = [truth == set(one.named) for one in found]
            called = [one.verdict is Follows.CONFOUNDED for one in found]
            mixed = [is_right and c for is_right, c in zip(right, called, strict=True)]
            other = [bool(one.named) and not (truth & set(one.named)) for one in found]
            shares = " | ".join(share(flags) for flags in (right, alone, mixed, other))
            print(f"| {world.name} | {shares} |", flush=True)


def share(flags: list[bool]) -> str:
    return f"{100 * sum(flags) / len(flags):.1f} %"


if __name__ == "__main__":
    main()

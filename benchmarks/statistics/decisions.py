"""Error, power, attempts leased and wall time of runs until decided, through the real decisions.

    python benchmarks/statistics/decisions.py [--runs 300] [--seed 20261124]

Each simulated run has a real plan with its stored rule, leases in the plan's order to gangs in
virtual time, looks after every attempt with the driver's `Stopping`, holds leases as the driver
does, and is judged by `judge_question` over `collect_outcomes`. Only devices and clocks are not
real.
"""

import argparse
import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from where import header

from harness.analysis.contrast_pairs import ask_question
from harness.analysis.outcomes import collect_outcomes
from harness.core.cell import Cell
from harness.core.decision_rule import FIRST_RULE, Alternative, DecisionRule
from harness.core.plan import Plan, PlannedCell, schedule
from harness.core.statuses import AttemptStatus
from harness.driver.stopping import Ended, Stopping
from harness.stats.boundary import Design, choose_rule
from harness.stats.contrasts import Finding
from harness.stats.judge import judge_question
from harness.stats.rate_gate import RateGate

ASCENDING, DESCENDING = (Cell((("order", order), ("tp", 1))) for order in ("a", "d"))


@dataclass(frozen=True)
class World:
    """Rates of descending and ascending, seconds of a pass and a failure, gangs, what is lost."""

    rates: tuple[float, float]
    passes_s: float = 3.0
    fails_s: float = 3.0
    gangs: int = 8
    infra: float = 0.0
    lost_failures: float = 0.0


@dataclass(frozen=True)
class Result:
    """One simulated run."""

    different: bool
    gate: RateGate | None
    leased: int
    seconds: float


def simulate(plan: Plan, world: World, chance: random.Random, hold: bool = True) -> Result:
    """Lease, end, look and judge until the plan is settled or used up."""
    stopping, queue = Stopping(plan, []), schedule(plan)
    flying: list[tuple[float, int, float, Ended]] = []
    ended: list[Ended] = []
    now, free = 0.0, world.gangs
    while queue or flying:
        running = [replace(one, seconds=now - begun) for _, _, begun, one in flying]
        while queue and free and not (hold and stopping.holds_leases(running)):
            planned = queue.pop(0)
            status = draw(world, planned.cell, chance)
            spent = world.fails_s if status is AttemptStatus.FAILED else world.passes_s
            attempt = Ended(planned.position, 0, planned.suite, planned.cell.key, status, spent)
            heapq.heappush(flying, (now + spent, planned.position, now, attempt))
            running.append(replace(attempt, seconds=0.0))
            free -= 1
        done, _, _, attempt = heapq.heappop(flying)
        # The driver looks up several times a second: leases are held before the next one ends.
        now = done
        ended.append(attempt)
        stopping.add(attempt)
        free += 1
        if queue and stopping.is_settled():
            queue.clear()
    verdict = judge_question(ask_question(plan), collect_outcomes(plan, ended))
    different = any(one.finding is Finding.DIFFERENT for one in verdict.contrasts)
    return Result(different, verdict.gate, len(ended), now)


def draw(world: World, cell: Cell, chance: random.Random) -> AttemptStatus:
    """Draw how an attempt ends."""
    failed = chance.random() < world.rates[cell == ASCENDING]
    lost = world.lost_failures if failed and cell == DESCENDING else 0.0
    if chance.random() < max(world.infra, lost):
        return AttemptStatus.INFRA
    return AttemptStatus.FAILED if failed else AttemptStatus.PASSED


def make_plan(
    cap: int, seed: int, rule: DecisionRule, gate: float | None = None, until: bool = True
) -> Plan:
    """Plan two cells, or one with a gate."""
    cells = (ASCENDING, DESCENDING) if gate is None else (DESCENDING,)
    planned = tuple(PlannedCell("s.py", cell) for cell in cells)
    return Plan(planned, cap, seed, False, False, until, gate, rule=rule)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=20261124)
    args = parser.parse_args()
    print(header())
    print(f"{args.runs} runs per line\n")
    print("| rule, cap | truth | a failure takes | decided | attempts per cell | seconds |")
    print("|---|---|---|---|---|---|")
    for cap, name, rule, hold in list_designs():
        for world in list_worlds():
            found = repeat(args, cap, rule, world, hold)
            print(describe(f"{name}, {cap}", world, found))
    print("\n| gate 10 %, fixed 100 | holds |\n|---|---|")
    for world in (World((0.1, 0.1), lost_failures=0.5), World((0.2, 0.2), lost_failures=0.8),
                  World((0.5, 0.5), lost_failures=1.0), World((0.02, 0.02))):  # fmt: skip
        for name, rule in (("first rules", FIRST_RULE), ("today", DecisionRule())):
            held = [
                simulate(make_plan(100, i, rule, 0.1, False), world, random.Random(args.seed + i))
                for i in range(args.runs)
            ]
            share = sum(one.gate is RateGate.HOLDS for one in held) / len(held)
            lost = f"{world.lost_failures:.0%} of the failures lost"
            print(f"| {name}, true rate {world.rates[0]}, {lost} | {share:.1%} |")


def list_designs() -> list[tuple[int, str, DecisionRule, bool]]:
    """The first rules, and today's at the caps that have 80 % power for 0.2 against 0."""
    design, one_sided = Design(36, (0.2, 0.0)), Design(31, (0.2, 0.0), Alternative.MORE)
    return [
        (38, "e >= 20", FIRST_RULE, False),
        (36, "calibrated, futility", choose_rule(design, 1), True),
        (31, "one-sided, futility", choose_rule(one_sided, 1), True),
    ]


def list_worlds() -> Sequence[World]:
    return (
        World((0.2, 0.0)), World((0.2, 0.0), fails_s=60), World((0.5, 0.0), fails_s=60),
        World((0.1, 0.1)), World((0.3, 0.3), fails_s=60), World((0.2, 0.0), infra=0.02),
        World((0.2, 0.2), lost_failures=0.5),
    )  # fmt: skip


def repeat(
    args: argparse.Namespace, cap: int, rule: DecisionRule, world: World, hold: bool
) -> list[Result]:
    return [
        simulate(make_plan(cap, i, rule), world, random.Random(args.seed + i), hold)
        for i in range(args.runs)
    ]


def describe(name: str, world: World, found: Sequence[Result]) -> str:
    decided = sum(one.different for one in found) / len(found)
    leased = sum(one.leased for one in found) / len(found) / 2
    seconds = sum(one.seconds for one in found) / len(found)
    lost = f", {world.infra:.0%} infrastructure" if world.infra else ""
    if world.lost_failures:
        lost += f", {world.lost_failures:.0%} of one cell's failures lost"
    truth = f"{world.rates[0]} against {world.rates[1]}{lost}"
    took = f"{world.fails_s:g} s | {decided:.1%} | {leased:.1f} | {seconds:.0f}"
    return f"| {name} | {truth} | {took} |"


if __name__ == "__main__":
    main()

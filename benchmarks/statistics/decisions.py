"""Error, power, attempts leased and wall time of runs until decided, through the real decisions.

    python benchmarks/statistics/decisions.py [--runs 300] [--seed 20261124] [--only WORD]

Each simulated run has a real plan with its stored rule, leases in the plan's order to gangs in
virtual time, looks after every attempt with the driver's `Stopping`, holds leases as the driver
does, and is judged by `judge_question` over `collect_outcomes`. Only devices and clocks are not
real.
"""

import argparse
import heapq
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from where import header

from harness.analysis.contrast_pairs import ask_question
from harness.analysis.outcomes import collect_outcomes
from harness.core.cell import Cell
from harness.core.decision_rule import (
    CURRENT_VERSION,
    FIRST_RULE,
    Alternative,
    DecisionRule,
)
from harness.core.plan import Plan, PlannedAttempt, PlannedCell, schedule
from harness.core.statuses import AttemptStatus
from harness.driver.stopping import Ended, Stopping
from harness.stats.boundary import Design, choose_rule
from harness.stats.contrasts import Finding
from harness.stats.judge import judge_question
from harness.stats.rate_gate import RateGate

ASCENDING, DESCENDING = (Cell((("order", order), ("tp", 1))) for order in ("a", "d"))
BACKENDS = tuple(Cell((("backend", f"b{i}"), ("tp", 1))) for i in range(6))
NAMES = {f"b{i}" for i in range(6)}
RELAUNCHES = 3


@dataclass(frozen=True)
class World:
    """What is true, and how long it takes.

    rates: of descending and ascending. infra: share of attempts lost after their suite started.
    before: share lost before, which are leased again. lost_failures: share of descending's failures
    that infrastructure takes. drift: how the rates change: "", "drift" (from half to one and a half
    times), "step" (a third, then five thirds) or "bursts" (failures last three attempts of a cell).
    """

    rates: tuple[float, float]
    passes_s: float = 3.0
    fails_s: float = 3.0
    gangs: int = 8
    infra: float = 0.0
    before: float = 0.0
    lost_failures: float = 0.0
    drift: str = ""


@dataclass(frozen=True)
class Result:
    """One simulated run."""

    different: tuple[str, ...]
    gate: RateGate | None
    leased: int
    seconds: float


def simulate(plan: Plan, world: World, chance: random.Random, hold: bool = True) -> Result:
    """Lease, end, look and judge until the plan is settled or used up."""
    stopping, queue = Stopping(plan, []), deque((planned, 0) for planned in schedule(plan))
    nature = Nature(world, len(queue), chance)
    flying: list[tuple[float, int, float, Ended]] = []
    ended: list[Ended] = []
    now, free, leased = 0.0, world.gangs, 0
    while queue or flying:
        running = [replace(one, seconds=now - begun) for _, _, begun, one in flying]
        while queue and free and not (hold and stopping.holds_leases(running)):
            planned, launch = queue.popleft()
            if stopping.is_needless(planned.suite, planned.cell.key):
                continue
            leased += 1
            if chance.random() < world.before:
                # Lost before its suite started: leased again at its place, three times at most.
                if launch < RELAUNCHES:
                    queue.appendleft((planned, launch + 1))
                continue
            status = nature.draw(planned)
            spent = world.fails_s if status is AttemptStatus.FAILED else world.passes_s
            attempt = Ended(planned.position, 0, planned.suite, planned.cell.key, status, spent)
            heapq.heappush(flying, (now + spent, planned.position, now, attempt))
            running.append(replace(attempt, seconds=0.0))
            free -= 1
        if not flying:
            break
        done, _, _, attempt = heapq.heappop(flying)
        # The driver looks up several times a second: leases are held before the next one ends.
        now = done
        ended.append(attempt)
        stopping.add(attempt)
        free += 1
        if queue and stopping.is_settled():
            queue.clear()
    verdict = judge_question(ask_question(plan), collect_outcomes(plan, ended))
    found = [one.arm for one in verdict.contrasts if one.finding is Finding.DIFFERENT]
    return Result(tuple(found), verdict.gate, leased, now)


class Nature:
    """Draws how attempts end, in lease order."""

    def __init__(self, world: World, attempts: int, chance: random.Random) -> None:
        self._world, self._attempts, self._chance = world, attempts, chance
        self._failing: dict[str, bool] = {}

    def draw(self, planned: PlannedAttempt) -> AttemptStatus:
        """Draw how an attempt ends."""
        world, chance, cell = self._world, self._chance, planned.cell
        rate = choose_rate(world, cell) * self._change(planned.position)
        if world.drift == "bursts":
            before = self._failing.get(cell.key)
            if before is not None:
                rate = 2 / 3 if before else rate / (1 - rate) / 3
        failed = chance.random() < rate
        self._failing[cell.key] = failed
        lost = world.lost_failures if failed and cell == DESCENDING else 0.0
        if chance.random() < max(world.infra, lost):
            return AttemptStatus.INFRA
        return AttemptStatus.FAILED if failed else AttemptStatus.PASSED

    def _change(self, position: int) -> float:
        share = position / self._attempts
        if self._world.drift == "drift":
            return 0.5 + share
        return (1 / 3 if share < 0.5 else 5 / 3) if self._world.drift == "step" else 1.0


def choose_rate(world: World, cell: Cell) -> float:
    if cell in BACKENDS:
        return world.rates[cell == BACKENDS[0]]
    return world.rates[cell == ASCENDING]


def print_backends(args: argparse.Namespace) -> None:
    """Which of six: each against the pooled rest, under a cap of 60 per cell, and in pairs."""
    print(
        "\n| six backends, cap 60 | the right one, and no other | a wrong one | attempts of 360 |"
    )
    print("|---|---|---|---|")
    planned = tuple(PlannedCell("s.py", cell) for cell in BACKENDS)
    for rates in ((0.0, 0.2), (0.0, 0.1), (0.05, 0.3), (0.0, 0.0), (0.1, 0.1)):
        for name, version in (("pooled rest", CURRENT_VERSION), ("pairs with the first value", 2)):
            rule = replace(choose_rule(Design(60, (0.2, 0.0)), 5), version=version)
            found = [
                simulate(Plan(planned, 60, i, False, False, True, rule=rule), World(rates),
                         random.Random(args.seed + i))
                for i in range(args.runs)
            ]  # fmt: skip
            pooled = version >= 3
            bad = {"b0"} if rates[0] != rates[1] else set()
            # In pairs the bad first value makes every other one differ.
            should = bad if pooled or not bad else NAMES - bad
            right = [set(one.different) == should for one in found]
            wrong = [bool(set(one.different) - bad) and pooled for one in found]
            spent = sum(one.leased for one in found) / len(found)
            truth = f"{name}: b0 {rates[1]}, others {rates[0]}"
            shares = f"{sum(right) / len(found):.1%} | {sum(wrong) / len(found):.1%}"
            print(f"| {truth} | {shares} | {spent:.0f} |", flush=True)


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
    parser.add_argument("--only", default="", help="a rule's name, `backends` or `gate`")
    args = parser.parse_args()
    print(header())
    print(f"{args.runs} runs per line\n")
    print("| rule, cap | truth | a failure takes | decided | attempts per cell | seconds |")
    print("|---|---|---|---|---|---|")
    for cap, name, rule, hold in list_designs():
        if args.only in name:
            for world in list_worlds():
                found = repeat(args, cap, rule, world, hold)
                print(describe(f"{name}, {cap}", world, found), flush=True)
    if args.only in "backends":
        print_backends(args)
    if args.only in "gate":
        print_gates(args)


def print_gates(args: argparse.Namespace) -> None:
    """A gate of 10 % over 100 attempts, some of whose failures are lost as infrastructure."""
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
        World((0.2, 0.0), before=0.05), World((0.2, 0.2), lost_failures=0.5),
        World((0.2, 0.2), drift="drift"), World((0.2, 0.2), drift="step"),
        World((0.2, 0.2), drift="bursts"), World((0.2, 0.0), drift="bursts"),
    )  # fmt: skip


def repeat(
    args: argparse.Namespace, cap: int, rule: DecisionRule, world: World, hold: bool
) -> list[Result]:
    return [
        simulate(make_plan(cap, i, rule), world, random.Random(args.seed + i), hold)
        for i in range(args.runs)
    ]


def describe(name: str, world: World, found: Sequence[Result]) -> str:
    decided = sum(bool(one.different) for one in found) / len(found)
    leased = sum(one.leased for one in found) / len(found) / 2
    seconds = sum(one.seconds for one in found) / len(found)
    lost = f", {world.infra:.0%} lost after their start" if world.infra else ""
    lost += f", {world.before:.0%} lost before their start" if world.before else ""
    lost += f", {world.drift}" if world.drift else ""
    if world.lost_failures:
        lost += f", {world.lost_failures:.0%} of one cell's failures lost"
    truth = f"{world.rates[0]} against {world.rates[1]}{lost}"
    took = f"{world.fails_s:g} s | {decided:.1%} | {leased:.1f} | {seconds:.0f}"
    return f"| {name} | {truth} | {took} |"


if __name__ == "__main__":
    main()

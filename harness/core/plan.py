"""The plan of a run: what is measured, how often, in which order. Pure values and decisions."""

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.core.cell import Cell, read_cell_dict
from harness.core.decision_rule import CURRENT_RULE, DecisionRule, rule_from_dict, rule_to_dict
from harness.core.errors import StoreError, UsageError
from harness.core.known_flakes import KnownFlake, flake_from_dict, flake_to_dict
from harness.core.revision import Revision, revision_from_dict, revision_to_dict

#: Seeds stay below 2**31 so that every library takes them.
_SEED_SPACE = 1 << 31

#: A fault that shows in a fifth of the attempts, against none: the episode behind this project.
EXPECTED_RATES = (0.2, 0.0)


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """One suite in one cell. `refused` says why it cannot run here; None where it can."""

    suite: str
    cell: Cell
    deselect: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedAttempt:
    """One repeat of one suite in one cell. `position` is its place in the shared queue, from 0."""

    position: int
    suite: str
    cell: Cell
    repeat: int
    seed: int
    deselect: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """All that was decided before the first attempt.

    `until_decided`: stop once the question is answered, `repeats` being the cap. `max_flake_rate`:
    the gate, "every cell fails less often than this". `expected_rates`: the pair of rates that
    comparisons are planned to tell apart. `rule`: how the run is judged. `warmup`: attempts per
    cell that are made first and never counted.
    """

    cells: tuple[PlannedCell, ...]
    repeats: int
    seed: int
    fixed_seed: bool
    in_ci: bool
    until_decided: bool = False
    max_flake_rate: float | None = None
    expected_rates: tuple[float, float] = EXPECTED_RATES
    revisions: tuple[Revision, ...] = ()
    rule: DecisionRule = CURRENT_RULE
    warmup: int = 0
    known_flakes: tuple[KnownFlake, ...] | None = None
    """The entries of the gate of known flakes; None without that gate."""

    @property
    def runnable(self) -> tuple[PlannedCell, ...]:
        """The cells that can run here."""
        return tuple(planned for planned in self.cells if planned.refused is None)


def attempt_seed(run_seed: int, suite: str, cell: Cell, repeat: int | str) -> int:
    """hash(run seed, suite, cell, repeat), the same on every machine and in every process."""
    text = f"{run_seed}\0{suite}\0{cell.key}\0{repeat}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) % _SEED_SPACE


def check_repeats(repeats: int) -> None:
    """Raises UsageError where there is nothing to repeat."""
    if not 1 <= repeats <= 100_000:
        raise UsageError(f"--repeats {repeats}: give a number from 1 to 100000")


def schedule(plan: Plan) -> list[PlannedAttempt]:
    """The shared queue: blocks of one attempt per cell, each block in a seeded order of its own.

    Interleaving lets drift (a warming machine, a filling cache) hit all cells alike.
    """
    shuffle = random.Random(plan.seed).shuffle
    queue: list[PlannedAttempt] = []
    for repeat in range(plan.repeats):
        block = list(plan.runnable)
        shuffle(block)
        for planned in block:
            seed = choose_seed(plan, planned.suite, planned.cell, repeat)
            queue.append(
                PlannedAttempt(
                    len(queue), planned.suite, planned.cell, repeat, seed, planned.deselect
                )
            )
    return queue


def schedule_warmups(plan: Plan) -> list[PlannedAttempt]:
    """Return the attempts that are made before the queue, one per cell in turn; none is counted.

    Their seeds are not those of counted attempts, which would otherwise be made twice.
    """
    cells = [(repeat, planned) for repeat in range(plan.warmup) for planned in plan.runnable]
    return [
        PlannedAttempt(
            *(position, one.suite, one.cell, repeat),
            choose_seed(plan, one.suite, one.cell, f"warm-up {repeat}"),
            one.deselect,
        )
        for position, (repeat, one) in enumerate(cells)
    ]


def choose_seed(plan: Plan, suite: str, cell: Cell, repeat: int | str) -> int:
    """The attempt's seed; with a fixed seed every attempt of the run has the run's own."""
    return plan.seed if plan.fixed_seed else attempt_seed(plan.seed, suite, cell, repeat)


def plan_to_dict(plan: Plan) -> dict[str, Any]:
    """The plan as stored: JSON values only."""
    return {
        "cells": [
            {
                "suite": planned.suite,
                "axes": planned.cell.as_dict(),
                "deselect": list(planned.deselect),
                "notes": list(planned.notes),
                "refused": planned.refused,
            }
            for planned in plan.cells
        ],
        "repeats": plan.repeats,
        "seed": plan.seed,
        "fixed_seed": plan.fixed_seed,
        "in_ci": plan.in_ci,
        "until_decided": plan.until_decided,
        "max_flake_rate": plan.max_flake_rate,
        "known_flakes": None
        if plan.known_flakes is None
        else [flake_to_dict(one) for one in plan.known_flakes],
        "expected_rates": list(plan.expected_rates),
        "revisions": [revision_to_dict(one) for one in plan.revisions],
        "rule": rule_to_dict(plan.rule),
        "warmup": plan.warmup,
    }


def plan_from_dict(stored: Mapping[str, Any]) -> Plan:
    """Return the plan that `plan_to_dict` wrote. Raise StoreError if the value is damaged."""
    try:
        return _read_plan(stored)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            f"a stored plan is damaged ({type(error).__name__}: {error}); choose another --store"
        ) from None


def _read_plan(stored: Mapping[str, Any]) -> Plan:
    cells = tuple(
        PlannedCell(
            suite=planned["suite"],
            cell=read_cell_dict(planned["axes"]),
            deselect=tuple(planned["deselect"]),
            notes=tuple(planned["notes"]),
            refused=planned["refused"],
        )
        for planned in stored["cells"]
    )
    high, low = stored.get("expected_rates", EXPECTED_RATES)
    return Plan(
        *(cells, stored["repeats"], stored["seed"], stored["fixed_seed"], stored["in_ci"]),
        until_decided=stored.get("until_decided", False),
        max_flake_rate=stored.get("max_flake_rate"),
        expected_rates=(high, low),
        revisions=tuple(revision_from_dict(one) for one in stored.get("revisions", ())),
        rule=rule_from_dict(stored.get("rule")),
        warmup=stored.get("warmup", 0),
        known_flakes=_read_flakes(stored.get("known_flakes")),
    )


def _read_flakes(stored: Sequence[Mapping[str, Any]] | None) -> tuple[KnownFlake, ...] | None:
    return None if stored is None else tuple(flake_from_dict(one) for one in stored)

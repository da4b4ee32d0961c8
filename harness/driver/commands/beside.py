"""`harness rerun ATTEMPT --beside N`: does it fail only beside another attempt?

The attempt is made N times alone and N times beside another attempt of its suite, in turn, with the
same seed, so that nothing but the company differs between the two.
"""

import shutil
from dataclasses import dataclass, replace

from rich.console import Console

from harness.cluster.devices import count_usable_cores
from harness.cluster.interface import DevicePool, Loss
from harness.cluster.members import Gang
from harness.cluster.messages import PoolSettings
from harness.core.errors import NoDeviceError
from harness.core.exits import ExitCode
from harness.core.fold import fold
from harness.core.records import AttemptRow
from harness.core.statuses import AttemptStatus
from harness.driver.attempts import make_ending, make_spec
from harness.driver.context import RunContext
from harness.driver.processes import make_supervisor_settings
from harness.driver.rerunning import find_attempt, find_revisions, plan_again
from harness.driver.revisions.worktrees import hold_worktrees
from harness.report.terminal import print_line
from harness.stats.contrasts import ALPHA
from harness.stats.exact_tests import compute_boschloo_p

_SEED_LIMIT = 1 << 31
_HINT = (
    "look for what both use under one name: a fixed port, file, folder or shared memory. "
    "--sandbox auto,network,tmp gives each attempt a network and a /tmp of its own; "
    "--slots 1 makes one attempt at a time"
)


@dataclass(slots=True)
class Company:
    """How often the attempt failed, of how often it was made."""

    failed: int = 0
    made: int = 0

    def count(self, status: AttemptStatus | None) -> None:
        """Count one attempt; infrastructure is left out."""
        if status in (AttemptStatus.PASSED, AttemptStatus.FAILED):
            self.made += 1
            self.failed += status is AttemptStatus.FAILED


def rerun_beside(name: str, location: str | None, repeats: int) -> int:
    """Make the attempt alone and beside another one. Return the exit code; nothing is stored."""
    from harness.cluster.pool import open_pool

    row, context = find_attempt(name, location)
    revisions = find_revisions(row, context)
    settings = make_supervisor_settings(
        context.options, context.device, context.isolation, revisions
    )
    slots = max(context.options.slots or count_usable_cores(), 2 * max(len(row.devices), 1))
    wanted = PoolSettings(kind=context.device, slots=slots, supervisor=settings)
    with hold_worktrees(revisions), open_pool(wanted) as pool:
        alone, beside = make_both(context, row, pool, repeats)
    console = Console()
    print_line(console, describe_company(alone, beside), "bold")
    return ExitCode.FAILURES if alone.failed or beside.failed else ExitCode.OK


def make_both(
    context: RunContext, row: AttemptRow, pool: DevicePool, repeats: int
) -> tuple[Company, Company]:
    """Return how the attempt ended alone, and beside another attempt of its suite."""
    alone, beside = Company(), Company()
    for number in range(repeats):
        alone.count(_make(context, row, pool, f"alone{number}", neighbour=False))
        beside.count(_make(context, row, pool, f"beside{number}", neighbour=True))
    return alone, beside


def _make(
    context: RunContext, row: AttemptRow, pool: DevicePool, suffix: str, *, neighbour: bool
) -> AttemptStatus | None:
    """Return how the attempt ended; None if it was lost."""
    planned = plan_again(row, context)
    # The neighbour has a seed of its own: two attempts of one run never share theirs.
    seeds = [(planned.seed + 1) % _SEED_LIMIT, planned.seed] if neighbour else [planned.seed]
    gangs = [_lease(pool, len(row.devices)) for _ in seeds]
    started = []
    for gang, seed in zip(gangs, seeds, strict=True):
        name = f"{row.id}.{suffix}" + ("" if seed == planned.seed else "n")
        spec = make_spec(context, name, replace(planned, seed=seed), gang)
        shutil.rmtree(spec.folder, ignore_errors=True)  # of an earlier rerun
        started.append(pool.start(gang, spec))
    outcomes = [pool.collect(one) for one in started]
    for gang in gangs:
        pool.release(gang)
    if isinstance(outcomes[-1], Loss):
        return None
    return fold(outcomes[-1].events, make_ending(outcomes[-1], started[-1].spec)).status


def _lease(pool: DevicePool, devices: int) -> Gang:
    gang = pool.lease(devices)
    if gang is None:
        raise NoDeviceError(
            f"--beside needs 2 x {devices} free devices of one node: one attempt and another"
        )
    return gang


def describe_company(alone: Company, beside: Company) -> str:
    """Return the sentence: both rates, whether they are told apart, and what to look for."""
    counts = (
        f"alone {alone.failed}/{alone.made} failed, "
        f"beside another attempt {beside.failed}/{beside.made}"
    )
    if not alone.made or not beside.made:
        return f"{counts}: nothing can be said"
    p = compute_boschloo_p(beside.failed, beside.made, alone.failed, alone.made)
    more = beside.failed * alone.made > alone.failed * beside.made
    if p <= ALPHA and more:
        only = "fails only" if alone.failed == 0 else "fails more often"
        return f"{counts}: {only} beside another attempt (p = {p:.2g}, Boschloo); {_HINT}"
    return f"{counts}: not told apart (p = {p:.2g}, Boschloo)"

"""`harness bisect`: which commit raised the failure rate, by a posterior over all of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from harness.cluster.interface import DevicePool
from harness.core.errors import UsageError
from harness.core.exits import ExitCode
from harness.core.kinds import Kind, Phase
from harness.core.records import AttemptRow
from harness.core.statuses import VALID, AttemptStatus
from harness.driver.commands.run import RunRequest, make_record, make_request
from harness.driver.context import RunContext
from harness.driver.execution import Session, execute
from harness.driver.interruption import end_on_signals
from harness.driver.options import RunOptions
from harness.driver.outputs import Outputs
from harness.driver.ownership import own_run
from harness.driver.queue import list_planned
from harness.driver.revisions.git import git
from harness.driver.revisions.open import open_revisions
from harness.driver.revisions.resolve import resolve
from harness.driver.state import locate_store
from harness.stats.culprit import ENOUGH, Beliefs, Tally, choose_commit, weigh_commits
from harness.store.open import open_store
from harness.store.store import Store

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched: both ends, and at most so many attempts."""

    good: str
    bad: str
    most_attempts: int


class Bisection:
    """The state of one search: what every commit's attempts came to."""

    def __init__(self, commits: Sequence[str], key: str) -> None:
        self.commits = list(commits)
        self.key = key
        self.tallies = [Tally() for _ in commits]
        self.skipped: set[int] = set()

    @property
    def spent(self) -> int:
        """Valid attempts of all commits."""
        return sum(tally.failed + tally.passed for tally in self.tallies)

    def add(self, sha: str, rows: Sequence[AttemptRow]) -> None:
        """Count a step's attempts. A commit whose suite could not start is skipped, not bad."""
        at = self.commits.index(sha)
        if not any(_tells_something(row) for row in rows):
            self.skipped.add(at)
            return
        valid = [row.status for row in rows if row.status in VALID]
        failed, old = valid.count(AttemptStatus.FAILED), self.tallies[at]
        self.tallies[at] = Tally(old.failed + failed, old.passed + len(valid) - failed)

    def read(self, store: Store) -> None:
        """Count what earlier steps of the same search have stored."""
        for record in store.runs():
            if record.fingerprint.get("bisect") == self.key:
                self.add(record.plan["revisions"][0]["sha"], store.attempts(record.id))


def _tells_something(row: AttemptRow) -> bool:
    """Whether the suite started: it passed, or failed in a test."""
    started = row.phase != Phase.SETUP.value and row.kind != Kind.NO_TESTS.value
    return row.status is AttemptStatus.PASSED or (row.status is AttemptStatus.FAILED and started)


def find_culprit(options: RunOptions, search: Search, location: str | None) -> int:
    """Measure commits until one is named with 95 %. Return the exit code.

    Every step is a run of `options.repeats` attempts per cell, stored as it goes: the same command
    continues the search. Raise UsageError if the ends are no good and bad commit of one history.
    """
    from harness.cluster.pool import open_pool

    ends = resolve((search.good, search.bad), (), options.suites)
    commits = list_commits(ends[0].sha, ends[1].sha)
    bisection = Bisection(commits, _make_key(options, commits))
    console = Console()
    location = location or locate_store(of_revisions=True)
    with end_on_signals() as interruption, open_store(location, write=True) as store:
        session = Session(store, Outputs(quiet=True), interruption)
        bisection.read(store)
        with open_revisions(replace(options, revs=(ends[1].sha,))) as (localised, revisions):
            request = make_request(localised, revisions)
        console.print(f"{len(commits) - 1} commits, {bisection.spent} attempts known")
        if bisection.spent < search.most_attempts and not _is_found(bisection):
            with open_pool(request.choose_pool(store)) as pool:
                interruption.install()  # Ray has handlers of its own
                stepper = _Stepper(request, pool, session)
                _search(bisection, stepper, search.most_attempts, console)
        return _print_result(console, bisection)


def list_commits(good: str, bad: str) -> list[str]:
    """Return the commits from the good to the bad one, along first parents, the oldest first.

    Raise UsageError if the good commit is no ancestor of the bad one.
    """
    listed = git(
        Path.cwd(), "rev-list", "--reverse", "--first-parent", "--ancestry-path", f"{good}..{bad}"
    )
    if not listed:
        raise UsageError(
            f"--good {good[:12]} is no ancestor of --bad {bad[:12]} along first parents: "
            "give the older commit as --good"
        )
    return [good, *listed.split()]


def _make_key(options: RunOptions, commits: Sequence[str]) -> str:
    """Return what names the search: the same ends, suites and cells continue it."""
    cells = sorted(f"{axis.name}={axis.values}" for axis in options.axes)
    parts = [commits[0], commits[-1], *options.suites, str(options.keyword), *cells]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Stepper:
    """Measures one commit."""

    request: RunRequest
    pool: DevicePool
    session: Session

    def measure(self, sha: str, key: str) -> list[AttemptRow]:
        """Return the attempts of one step; none if the commit holds no such suite."""
        options = replace(self.request.options, revs=(sha,))
        try:
            with open_revisions(options) as (localised, revisions):
                request = replace(
                    make_request(localised, revisions), isolation=self.request.isolation
                )
                return self._run(request, key)
        except UsageError as error:
            Console(stderr=True).print(escape(f"skipped {sha[:12]}: {error}"), soft_wrap=True)
            return []

    def _run(self, request: RunRequest, key: str) -> list[AttemptRow]:
        plan = request.make_plan(self.pool.largest_gang())
        if not plan.runnable:
            return []
        record = make_record(request, plan, self.pool.members)
        record = replace(record, fingerprint={**record.fingerprint, "bisect": key})
        context = RunContext(record, plan, request.options, request.isolation)
        with own_run(record, context.folder):
            self.session.store.add_run(record)
            code = execute(context, self.pool, self.session, list_planned(plan))
        if code == ExitCode.INTERRUPTED:
            raise KeyboardInterrupt
        return self.session.store.attempts(record.id)


def _search(bisection: Bisection, stepper: _Stepper, most: int, console: Console) -> None:
    while bisection.spent < most and not _is_found(bisection):
        beliefs = weigh_commits(bisection.tallies)
        at = choose_commit(beliefs, bisection.skipped)
        if at is None:
            return
        sha = bisection.commits[at]
        bisection.add(sha, stepper.measure(sha, bisection.key))
        console.print(_describe_step(bisection, at), soft_wrap=True)


def _is_found(bisection: Bisection) -> bool:
    return float(weigh_commits(bisection.tallies).chances.max()) >= ENOUGH


def _describe_step(bisection: Bisection, at: int) -> str:
    beliefs, tally = weigh_commits(bisection.tallies), bisection.tallies[at]
    found = (
        "skipped" if at in bisection.skipped else f"{tally.failed}/{tally.failed + tally.passed}"
    )
    best = beliefs.best
    return (
        f"{bisection.commits[at][:12]}: {found}; likeliest {bisection.commits[best][:12]} "
        f"({beliefs.chances[best]:.0%}), {bisection.spent} attempts"
    )


def _print_result(console: Console, bisection: Bisection) -> int:
    beliefs = weigh_commits(bisection.tallies)
    order = sorted(range(1, len(bisection.commits)), key=lambda i: -beliefs.chances[i])
    for at in order[:_SHOWN]:
        tally = bisection.tallies[at]
        subject = git(Path.cwd(), "log", "-1", "--format=%s", bisection.commits[at])
        console.print(
            f"  {beliefs.chances[at]:4.0%}  {bisection.commits[at][:12]}  "
            f"{tally.failed}/{tally.failed + tally.passed}  {escape(subject)}",
            soft_wrap=True,
        )
    console.print(_conclude(bisection, beliefs), soft_wrap=True)
    return ExitCode.OK if _is_found(bisection) else ExitCode.UNDECIDED


def _conclude(bisection: Bisection, beliefs: Beliefs) -> str:
    best = beliefs.best
    if not _is_found(bisection):
        return (
            f"undecided after {bisection.spent} attempts: no commit reaches {ENOUGH:.0%}; the same "
            "command with a larger --max-attempts continues"
        )
    skipped = f", {len(bisection.skipped)} commits skipped" if bisection.skipped else ""
    return (
        f"the rate rose with {bisection.commits[best][:12]} ({beliefs.chances[best]:.0%}): from "
        f"about {beliefs.before[best]:.1%} to {beliefs.after[best]:.1%}, "
        f"{bisection.spent} attempts{skipped}"
    )

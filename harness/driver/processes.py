"""How the processes of a run's attempts are made: forked or spawned, and with what environment."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.attempt.caches import CACHE_CHOICES, CacheChoice
from harness.attempt.environment import EnvironmentRule, RankEnvironment, select_environment
from harness.attempt.sandbox import SANDBOX_CHOICES, Sandbox
from harness.attempt.settings import SupervisorSettings
from harness.attempt.spec import Isolation
from harness.core.cell import Value
from harness.core.revision import Revision
from harness.core.suite import uses_engine
from harness.core.suite_setup import SuiteKind, SuiteSetup
from harness.driver.context import RUNS
from harness.driver.options import RunOptions
from harness.driver.revisions.git import find_git_folders
from harness.driver.state import find_state_folder, locate_store

#: What a zygote imports before it forks: the cost of an attempt that repeats need not pay.
_ENGINE_PRELOAD = ("pytest", "torch", "harness.engine.engine", "harness.engine.follower")
#: The same for revisions: what every revision's engine stands on, and nothing of a revision.
_TRUSTED_PRELOAD = ("pytest", "torch", "numpy", "safetensors", "tqdm")
#: For suites without our engine: they do not pay for torch.
_PLAIN_PRELOAD = ("pytest",)

_AUTO: tuple[tuple[str, ...], ...] = ((), ("auto",))

#: A SQLite store, and what lies beside it while it is open.
_SQLITE_FILES = ("", "-wal", "-shm")

_ATTEMPTS_PER_ZYGOTE = 10
_MOST_ZYGOTES_AHEAD = 4


def use_engine(suites: Sequence[str]) -> bool:
    """Return whether every suite of a run builds this project's engine."""
    return all(uses_engine(suite, Path.cwd()) for suite in suites)


def choose_isolation(options: RunOptions, device: str) -> Isolation:
    """Return how attempts are isolated: as the options say, else by fork if it is as good as spawn.

    Forks of one zygote share its hash seed. This project's engine does not depend on it; of another
    suite nobody knows, so its attempts are spawned, or on CUDA, where imports take most of an
    attempt's time, forked from one zygote each.
    """
    if options.isolation is not None:
        return "fork" if options.isolation == "fork" else "spawn"
    if options.rev_pythons or any(_is_spawned(setup) for setup in options.setups.values()):
        return "spawn"
    return "fork" if device == "cuda" or use_engine(options.suites) else "spawn"


def _is_spawned(setup: SuiteSetup) -> bool:
    """Return whether no zygote can run the suite: it is this interpreter and sees one GPU."""
    return setup.python is not None or setup.kind is not SuiteKind.PYTEST or setup.devices > 1


def make_supervisor_settings(
    options: RunOptions,
    device: str,
    isolation: Isolation,
    revisions: Sequence[Revision],
    store: Path | None = None,
) -> SupervisorSettings:
    """Return how device actors make their supervisors. No code of a revision runs in a keeper.

    store: its file, if it is one, which a sandbox protects.
    """
    ours = use_engine(options.suites)
    single = device == "cuda" and not ours
    return SupervisorSettings(
        python=sys.executable,
        isolation=isolation,
        cwd=None if revisions else Path.cwd(),
        environment=choose_environment(options, revisions).values,
        attempts_per_zygote=1 if single else _ATTEMPTS_PER_ZYGOTE,
        zygotes_ahead=_count_zygotes_ahead() if single else 1,
        uses_engine=ours,
        sandbox=choose_sandbox(options, store),
        caches=choose_caches(options.caches[0] if options.caches else None),
        preload=_choose_preload(options, ours, revisions),
        # Nobody vouches for a revision: what it says that it imports is not imported in a keeper.
        learn_preload=options.preload in _AUTO and not revisions,
    )


def choose_environment(options: RunOptions, revisions: Sequence[Revision]) -> RankEnvironment:
    """Return what of this process's environment reaches ranks, and what is withheld."""
    rule = EnvironmentRule(allow_list_only=bool(revisions), passed=options.pass_env)
    return select_environment(os.environ, rule)


def choose_sandbox(options: RunOptions, store: Path | None) -> Sandbox:
    """Return the boundary around attempts: as asked, else what the kernel allows."""
    choice, *parts = options.sandbox or ("auto",)
    of_revisions = bool(options.revs)
    database = str((store or Path(locate_store(of_revisions=of_revisions))).absolute())
    results = find_state_folder(of_revisions=of_revisions) / RUNS
    return Sandbox(
        choice=next(one for one in SANDBOX_CHOICES if one == choice),
        parts=("process", *parts),
        # Not their folder: it may hold the worktrees, which suites write to.
        protected=(
            results,
            *(Path(database + suffix) for suffix in _SQLITE_FILES),
            *(find_git_folders(Path.cwd()) if of_revisions else ()),
        ),
    )


def describe_sandbox(options: RunOptions) -> str:
    """Return the boundary and the limits that attempts are asked to have, in a few words."""
    choice, *parts = options.sandbox or ("auto",)
    told = f"sandbox {choice}" + (
        f" ({', '.join(('process', *parts))})" if choice != "none" else ""
    )
    if options.memory is not None:
        told += f", at most {options.memory} of memory"
    if options.max_processes is not None:
        told += f", at most {options.max_processes} processes"
    return told


def choose_caches(value: Value | None) -> CacheChoice:
    """Return the choice that a cell's axis `caches` names, else the default."""
    return next((choice for choice in CACHE_CHOICES if choice == value), "shared")


def _choose_preload(
    options: RunOptions, ours: bool, revisions: Sequence[Revision]
) -> tuple[str, ...]:
    if options.preload == ("none",):
        return _PLAIN_PRELOAD
    if options.preload not in _AUTO:
        return (*_PLAIN_PRELOAD, *options.preload)
    if not ours:
        return _PLAIN_PRELOAD
    return _TRUSTED_PRELOAD if revisions else _ENGINE_PRELOAD


def _count_zygotes_ahead() -> int:
    """Return how many zygotes may preload at once: each keeps one core busy."""
    return min(_MOST_ZYGOTES_AHEAD, max(1, len(os.sched_getaffinity(0)) // 4))

"""What goes into an attempt and what comes out: plain values that pickle."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness.core.events import Event
from harness.core.last_words import AttemptWords
from harness.core.limits import LimitHit, Limits

Isolation = Literal["fork", "spawn"]


@dataclass(frozen=True, slots=True)
class SuiteCommands:
    """What the configuration has done around a suite; `harness/rank/suite_run.py` does it."""

    set_up: tuple[str, ...] = ()
    tear_down: tuple[str, ...] = ()
    collect: tuple[str, ...] = ()
    """Patterns of files below the attempt's folder of work, to be kept."""
    result: str = "exit-code"
    """Of a command: `exit-code`, `junit:FILE` or `tap`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSpec:
    """One attempt to make."""

    run_id: str
    attempt_id: str
    nodeids: tuple[str, ...]
    """What is run: pytest's paths and node ids, a unittest file, or a command's words."""
    folder: Path
    """Where its logs, events and trace go; made if absent."""
    python: str
    """The interpreter under test."""
    cwd: Path
    name: str = ""
    """What the configuration calls the suite."""
    kind: Literal["pytest", "unittest", "command"] = "pytest"
    arguments: tuple[str, ...] = ()
    """What follows `nodeids`, as the user gave it."""
    commands: SuiteCommands = field(default_factory=SuiteCommands)
    overlaid: tuple[str, ...] = ()
    """Axes that are laid over as variables and arguments: the suite reads them nowhere else."""
    deselect: tuple[str, ...] = ()
    keyword: str | None = None
    axes: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    repeat: int = 0
    tp: int = 1
    timeout_s: float = 600.0
    grace_s: float = 5.0
    """From SIGTERM to SIGKILL, and what followers have to leave once rank 0 finished."""
    isolation: Isolation = "spawn"
    env: Mapping[str, str] = field(default_factory=dict)
    in_process_reruns: int = 0
    device: Literal["cpu", "cuda"] = "cpu"
    devices: tuple[str, ...] = ()
    """Ids of the gang's devices, by rank: for who looks at the attempt while it runs."""
    visible_devices: tuple[str, ...] = ()
    """CUDA_VISIBLE_DEVICES of each rank."""
    in_ci: bool = False
    follower: str | None = None
    """`module:function` of ranks above 0; None: the engine's."""
    uses_engine: bool = False
    """The suite builds this project's engine: its ranks get RANK and one thread each."""
    caches: Literal["shared", "fresh", "user"] = "shared"
    """Where compilers keep what they made (`caches.py`)."""
    hook: tuple[str, ...] = ("report",)
    """Parts of the start-up hook, in order; the environment's HARNESS_HOOK adds to them."""
    coredump: bool = False
    """Have the CUDA driver write a core dump at a fault, and name the kernel from it."""
    memcheck: bool = False
    """Run each rank under compute-sanitizer's memcheck: spawned, and many times slower."""
    limits: Limits = field(default_factory=Limits)
    """What all processes of the attempt together may use."""
    hash_seed: str | None = None
    """PYTHONHASHSEED of the ranks. None: from the seed if spawned, the zygote's own if forked."""


@dataclass(frozen=True, slots=True)
class RankExit:
    """How one rank ended, from its parent's wait."""

    rank: int
    code: int | None
    signal: str | None
    maxrss: int
    """Peak resident memory in bytes; a forked rank begins with its zygote's."""


@dataclass(slots=True)
class AttemptRecord:
    """What the supervisor saw of one attempt."""

    keeper_id: str
    started: float
    isolation: Isolation = "spawn"
    """How its ranks were started: spawned after all, if no zygote could be forked."""
    hash_seed: str = ""
    """PYTHONHASHSEED of its ranks, so that a rerun can repeat it."""
    unconfined: str | None = None
    """Why its ranks ran without the boundary that was asked for; None if they did not."""
    compiled: int | None = None
    """Files that it added to its compiler caches, or changed; None for the user's own caches."""
    notes: list[str] = field(default_factory=list)
    """What the user should know of how the attempt was made."""
    ended: float = 0.0
    wall_seconds: float = 0.0
    """From the request to start the ranks until nothing of them was left."""
    events: list[tuple[int, Event]] = field(default_factory=list)
    garbled: int = 0
    exits: list[RankExit] = field(default_factory=list)
    """In the order of death."""
    first_death: int | None = None
    """The first rank that died of itself: by a signal, with an error, or rank 0 unfinished."""
    timed_out: bool = False
    sampled: bool = False
    """Whether a limit was kept by looking, and not by the kernel."""
    limit: LimitHit | None = None
    """The limit that it came to, for which it was killed."""
    killed: list[int] = field(default_factory=list)
    """Ranks still alive when the supervisor signalled them."""
    orphans: list[str] = field(default_factory=list)
    """`name (pid)` of processes that outlived the ranks and were killed."""
    unobserved: list[str] = field(default_factory=list)
    """Why the start-up hook cannot have begun in some Python processes, one text each."""
    log_tails: dict[int, str] = field(default_factory=dict)
    words: AttemptWords = field(default_factory=AttemptWords)
    """What its processes printed that names a cause, taken before the logs' limits."""
    error: str | None = None
    """Why the attempt says nothing about the suite: cancelled, keeper lost, processes stuck."""

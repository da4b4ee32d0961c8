"""What a keeper says to its supervisor, typed. `harness/rank/keeper.py` is the other end."""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Ready:
    """The keeper has preloaded its modules and serves."""

    threads: int
    preload_seconds: float


@dataclass(frozen=True, slots=True)
class Started:
    """The ranks run. Each of them says so itself too, with its `hello`."""

    pids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The keeper did not start the ranks."""

    why: str


@dataclass(frozen=True, slots=True)
class Unconfined:
    """No boundary could be put up around the ranks."""

    why: str
    started: bool
    """Whether the ranks were started without."""


@dataclass(frozen=True, slots=True)
class Exited:
    """One rank ended, as its parent's wait saw it."""

    rank: int
    pid: int
    code: int | None
    """Exit status; None if a signal ended the rank."""
    signal: str | None
    maxrss: int
    """Peak resident memory in bytes; a forked rank begins with its zygote's."""


@dataclass(frozen=True, slots=True)
class Orphan:
    """A process that no rank is outlived the ranks and was killed."""

    pid: int
    """As it is outside of a boundary; 0 if that is not known."""
    comm: str


@dataclass(frozen=True, slots=True)
class Unobserved:
    """A Python process below a rank in which the start-up hook cannot have begun."""

    pid: int
    why: str


@dataclass(frozen=True, slots=True)
class Clean:
    """Nothing is left below the keeper."""


KeeperMessage = Ready | Started | Refused | Unconfined | Exited | Orphan | Unobserved | Clean


def parse_message(line: bytes) -> KeeperMessage:
    """Return the message of one line. Raise ValueError if it is not one; keepers are trusted."""
    value: dict[str, Any] = json.loads(line)
    match value:
        case {"event": "ready", "threads": int(threads), "preload_seconds": int() | float() as s}:
            return Ready(threads, s)
        case {"event": "started", "pids": list(pids)}:
            return Started(tuple(pids))
        case {"event": "refused", "why": str(why)}:
            return Refused(why)
        case {"event": "unconfined", "why": str(why), "started": bool(started)}:
            return Unconfined(why, started)
        case {"event": "exited", **end}:
            return Exited(**end)
        case {"event": "orphan", "pid": int(pid), "comm": str(comm)}:
            return Orphan(pid, comm)
        case {"event": "unobserved", "pid": int(pid), "why": str(why)}:
            return Unobserved(pid, why)
        case {"event": "clean"}:
            return Clean()
    raise ValueError(f"not a message of a keeper: {line[:200]!r}")

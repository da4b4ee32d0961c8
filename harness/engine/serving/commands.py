"""What rank 0 tells the other ranks: one frozen dataclass per command, JSON on the wire.

A step command names the type of its result, which is rank 0's: a tensor, or nothing.
"""

from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

from torch import Tensor

R = TypeVar("R")


@dataclass(frozen=True)
class Command(Generic[R]):
    """A step that every rank runs. Row numbers are those of the page table."""


@dataclass(frozen=True)
class AssignPages(Command[None]):
    """Give each row exactly these pages."""

    rows: list[int]
    pages: list[list[int]]


@dataclass(frozen=True)
class Prefill(Command[Tensor]):
    """Compute as many tokens of each row, from position `starts` on.

    Result: logits of what follows, [rows, 1, vocab].
    """

    rows: list[int]
    tokens: list[list[int]]
    starts: list[int]


@dataclass(frozen=True)
class Score(Command[Tensor]):
    """Run a prompt into borrowed pages. Result: logits of every position, [1, n, vocab]."""

    tokens: list[int]
    pages: list[int]


@dataclass(frozen=True)
class DraftPrefill(Command[None]):
    """Run the draft head over what was just prefilled; `tokens` are those one later."""

    rows: list[int]
    tokens: list[list[int]]
    starts: list[int]


@dataclass(frozen=True)
class Decode(Command[Tensor]):
    """Compute one token per row. Result: logits, [rows, 1, vocab]."""

    rows: list[int]
    tokens: list[int]
    positions: list[int]


@dataclass(frozen=True)
class Speculate(Command[tuple[Tensor, Tensor, Tensor]]):
    """Draft after each row's last token, then verify.

    Result: logits [rows, nodes, vocab], and the drafts' tokens and parents, [rows, nodes - 1] each:
    a row's last token is node 0, its first draft node 1.
    """

    rows: list[int]
    tokens: list[int]
    positions: list[int]


@dataclass(frozen=True)
class Extend(Command[None]):
    """Run the draft head over the `tokens` that the last verify emitted.

    `paths`: the nodes that they followed, node 0 first, as many as tokens.
    """

    rows: list[int]
    tokens: list[list[int]]
    positions: list[int]
    paths: list[list[int]]


@dataclass(frozen=True)
class WatchReplays(Command[None]):
    """From now on, compare each replay with an eager run on the same inputs."""


@dataclass(frozen=True)
class TimeStep(Command[Tensor]):
    """Time `count` steps of one token per row at `length` positions.

    Result: the seconds of each, float64.
    """

    role: str
    bs: int
    length: int
    count: int
    graphed: bool


@dataclass(frozen=True)
class Build:
    """Load the `serial`-th engine of this process, and answer with `LoadReply`."""

    config: dict[str, Any]
    serial: int


@dataclass(frozen=True)
class LoadReply:
    """A follower's answer to `Build`: the user error that its load raised or None, and its pid."""

    error: str | None
    process: int


@dataclass(frozen=True)
class Start:
    """Every rank has loaded: join the group and capture.

    `shared_memory`: path of the memory that ranks on the CPU share; empty if they use none.
    `keeps_group`: go on with the process group of the engine before.
    """

    shared_memory: str
    keeps_group: bool


@dataclass(frozen=True)
class Abandon:
    """A rank could not load: forget this engine."""


@dataclass(frozen=True)
class Close:
    """End this engine."""


Message = Command[Any] | Build | LoadReply | Start | Abandon | Close

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (*Command.__subclasses__(), Build, LoadReply, Start, Abandon, Close)
}


def encode(message: Message) -> dict[str, Any]:
    """Return a message as a JSON object."""
    values = {field.name: getattr(message, field.name) for field in fields(message)}
    return {"op": type(message).__name__, **values}


def decode(values: dict[str, Any]) -> Message:
    """Return the message of a JSON object. Raises KeyError for an unknown `op`."""
    kind = _KINDS[values["op"]]
    message: Message = kind(**{name: value for name, value in values.items() if name != "op"})
    return message

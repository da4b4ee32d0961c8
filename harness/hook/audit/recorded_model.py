"""What the audit keeps with each recorded graph."""

from dataclasses import dataclass, field
from typing import Any

from .accesses import Access, Accesses
from .model import Stack
from .results import Result
from .spans import Span


@dataclass(slots=True, eq=False)
class Watched:
    """Memory that a graph needs from outside itself."""

    access: Access
    span: Span
    pool: str
    entry: Any = None
    """The arena's entry; None: a storage outside the arena."""
    handle: int = 0
    allocated: Stack = ()
    freed: list[Stack] = field(default_factory=list)
    fillers: frozenset[int] = frozenset()
    """Graphs that had filled it when this one was captured; empty: only code outside graphs."""
    last_writer: int | None = None
    is_reported: bool = False


@dataclass(slots=True)
class Audited:
    """What is kept with each graph."""

    name: str
    pool: str
    accesses: Accesses
    watched: list[Watched]
    results: list[Result] = field(default_factory=list)

"""What the audit reports of a graph: one value, one line of the wire."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from .model import Ownership, Stack


class Fault(StrEnum):
    """What is wrong with a pointer of a graph that is about to be replayed."""

    DANGLING = "dangling"
    """Its memory was freed after capture; perhaps somebody else has it by now."""
    OVERWRITTEN = "overwritten"
    """What another graph left there for this one, a third graph has written over."""
    CONCURRENT = "concurrent"
    """Two graphs that share memory ran at the same time."""
    SPOILED = "spoiled"
    """What it answered was read after another graph's replay had written over it."""
    STRAY_WRITE = "stray-write"
    """A replay wrote where no operation of its graph should."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One pointer that a replay must not follow. Texts are for people, `fault` for programs."""

    fault: Fault
    ownership: Ownership
    graph: str
    kernel: str
    parameter: str
    node: int
    address: int
    bytes: int
    what: str = ""
    """Type and shape of the tensor, if known."""
    pool: str = ""
    allocated: Stack = ()
    freed: Stack = ()
    owner: Stack = ()
    writers: Sequence[str] = ()
    """Graphs and kernels that write there now."""

    def describe(self) -> dict[str, object]:
        """Return it as the keys of an event."""
        return {**asdict(self), "fault": self.fault.value, "ownership": self.ownership.value}

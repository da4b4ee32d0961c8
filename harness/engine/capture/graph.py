"""What the runner needs of captured graphs, whichever device they run on."""

from collections.abc import Callable
from typing import Literal, Protocol

from torch import Tensor

Outputs = dict[str, Tensor]


class CaptureError(RuntimeError):
    """The captured function did something that a graph cannot hold."""


class Graph(Protocol):
    """One captured step: fixed addresses, no Python decisions."""

    @property
    def outputs(self) -> Outputs:
        """The captured function's answer, rewritten in place by every replay."""

    def replay(self) -> None:
        """Run the captured work again on what its input buffers hold now."""


#: The pool of graphs that name none.
SHARED = "shared"


class GraphMemory(Protocol):
    """The memory of an engine's graphs, in one pool or several.

    What a graph of a pool freed by its end, the next graph of the same pool may use.
    """

    @property
    def kind(self) -> Literal["cuda", "recorded"]:
        """What the graphs are. Reports say this word and never the other."""

    def warm_up(self, function: Callable[[], Outputs]) -> None:
        """Run the function uncaptured, where capture will run it, and wait for it."""

    def capture(self, function: Callable[[], Outputs], pool: str = SHARED) -> Graph:
        """Capture one call into the pool of that name, made at its first graph.

        Raises CaptureError where a graph cannot hold the call, and out of memory.
        """

    def free_bytes(self) -> int:
        """Bytes of the device that are free now."""

    def total_bytes(self) -> int:
        """Bytes that the graphs' device has in all."""

    def pool_bytes(self) -> dict[str, int]:
        """Bytes that each pool's segments reserve now."""

    def peak_bytes(self) -> int:
        """The most bytes in use at once so far."""

    def close(self) -> None:
        """Free the pools. Their graphs must be gone."""

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


class GraphPool(Protocol):
    """Memory that graphs share: what one graph freed by its end, the next may use."""

    @property
    def kind(self) -> Literal["cuda", "recorded"]:
        """What the graphs are. Reports say this word and never the other."""

    def warm_up(self, function: Callable[[], Outputs]) -> None:
        """Run the function uncaptured, where capture will run it, and wait for it."""

    def capture(self, function: Callable[[], Outputs]) -> Graph:
        """Capture one call. Raises CaptureError where a graph cannot hold it."""

    def free_bytes(self) -> int:
        """Bytes of the device that are free now."""

    def pool_bytes(self) -> int:
        """Bytes that the pool's segments reserve now."""

    def peak_bytes(self) -> int:
        """The most bytes in use at once so far."""

    def close(self) -> None:
        """Free the pool. Its graphs must be gone."""

"""What parts are given: one captured graph."""

import time
import weakref
from collections.abc import Callable
from typing import Any, Literal


class Capture:
    """One graph of this process, from just before its capture to its end.

    A plain class: `dataclasses` takes milliseconds to import, in every process of an attempt.
    """

    __slots__ = (
        "__weakref__",
        "began",
        "data",
        "error",
        "find_graph",
        "find_memory",
        "kind",
        "number",
        "pool",
        "replays",
        "seconds",
        "threads",
    )

    def __init__(
        self, number: int, kind: Literal["cuda", "recorded"], graph: Any, pool: object, memory: Any
    ) -> None:
        self.number = number
        """Captures of this process before this one."""
        self.kind = kind
        self.find_graph = make_reference(graph)
        self.find_memory = make_reference(memory)
        self.pool = pool
        """What the caller named: a handle of torch, a name of the engine, or None."""
        self.began = time.perf_counter()
        self.seconds = 0.0
        """From the begin to the end of capture; 0 before its end."""
        self.error: str | None = None
        """Why there is no graph: what the capture raised."""
        self.replays = 0
        """Launches so far; counted only if some part asks for replays."""
        self.threads: set[int] = set()
        """Threads that are inside a launch of it now; kept only if some part asks for replays."""
        self.data: dict[str, Any] = {}
        """What parts keep with the graph, each under its own name."""

    @property
    def graph(self) -> Any:
        """The torch.cuda.CUDAGraph; a RecordedGraph, once captured. None if it is gone.

        Held weakly, as `memory` is: a graph must die when the suite drops it.
        """
        return self.find_graph()

    @property
    def memory(self) -> Any:
        """The engine's RecordedMemory; None for CUDA."""
        return self.find_memory()


def make_reference(value: Any) -> Callable[[], Any]:
    """Return a function that returns the value as long as something else keeps it alive."""
    return weakref.ref(value) if value is not None else _find_nothing


def _find_nothing() -> None:
    return None

"""Wraps the recorded graphs of this project's engine, which stand in for CUDA graphs on a CPU."""

import functools
import itertools
import time
from types import ModuleType
from typing import Any

from .cuda import ATTRIBUTE, Handler, ListHandlers, call_all, wrap_replay
from .events import Capture, make_reference


def wrap_module(module: ModuleType, list_handlers: ListHandlers) -> None:
    """Wrap `harness.engine.capture.recorded`: its memory captures, its graphs replay."""
    memory: Any = module.RecordedMemory
    graphs: Any = module.RecordedGraph
    if made := list_handlers("on_memory"):
        memory.__init__ = _wrap_initialisation(memory.__init__, made)
    memory.capture = _wrap_capture(memory.capture, list_handlers)
    before, after = list_handlers("before_replay"), list_handlers("after_replay")
    if before or after:
        graphs.replay = wrap_replay(graphs.replay, before, after)


def _wrap_initialisation(initialise: Any, made: list[Handler]) -> Any:
    @functools.wraps(initialise)
    def initialise_memory(self: Any, *arguments: Any, **keys: Any) -> None:
        initialise(self, *arguments, **keys)
        for handler in made:
            handler(self)

    return initialise_memory


def _wrap_capture(record: Any, list_handlers: ListHandlers) -> Any:
    before, after = list_handlers("before_capture"), list_handlers("after_capture")
    numbers = itertools.count()

    @functools.wraps(record)
    def capture_graph(self: Any, function: Any, *arguments: Any, **keys: Any) -> Any:
        pool = arguments[0] if arguments else keys.get("pool")
        capture = Capture(next(numbers), "recorded", None, pool, self)
        call_all(before, capture)
        capture.began = time.perf_counter()
        try:
            graph = record(self, function, *arguments, **keys)
            capture.find_graph = make_reference(graph)
            setattr(graph, ATTRIBUTE, capture)
        except BaseException as error:
            capture.error = f"{type(error).__name__}: {error}"
            raise
        finally:
            capture.seconds = time.perf_counter() - capture.began
            call_all(after, capture)
        return graph

    return capture_graph

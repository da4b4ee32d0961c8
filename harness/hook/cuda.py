"""Wraps torch.cuda.CUDAGraph: every capture goes through it, `torch.cuda.graph` included.

Methods are replaced on the class that torch defines in Python, never the class itself: code that
has imported it, or made a subclass, is seen all the same.
"""

import functools
import itertools
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from .events import Capture

Handler = Callable[..., None]
ListHandlers = Callable[[str], list[Handler]]
ATTRIBUTE = "_harness_capture"


def wrap_module(module: ModuleType, list_handlers: ListHandlers) -> None:
    """Wrap the graph class of `torch.cuda.graphs`."""
    graphs: Any = module.CUDAGraph
    _wrap_capture(graphs, list_handlers)
    changes = list_handlers("change_graph_arguments")
    if changes:
        _wrap_construction(graphs, changes)
    before, after = list_handlers("before_replay"), list_handlers("after_replay")
    if before or after:
        graphs.replay = wrap_replay(graphs.replay, before, after)


def call_all(handlers: list[Handler], capture: Capture) -> None:
    for handler in handlers:
        handler(capture)


def _wrap_capture(graphs: Any, list_handlers: ListHandlers) -> None:
    before, after = list_handlers("before_capture"), list_handlers("after_capture")
    begun = list_handlers("on_capture_begun")
    begin, end, numbers = graphs.capture_begin, graphs.capture_end, itertools.count()

    @functools.wraps(begin)
    def capture_begin(self: Any, *arguments: Any, **keys: Any) -> None:
        pool = arguments[0] if arguments else keys.get("pool")
        capture = Capture(next(numbers), "cuda", self, pool, None)
        setattr(self, ATTRIBUTE, capture)
        call_all(before, capture)
        capture.began = time.perf_counter()
        begin(self, *arguments, **keys)
        call_all(begun, capture)

    @functools.wraps(end)
    def capture_end(self: Any) -> None:
        capture: Capture = getattr(self, ATTRIBUTE)
        try:
            end(self)
        except BaseException as error:
            capture.error = f"{type(error).__name__}: {error}"
            raise
        finally:
            capture.seconds = time.perf_counter() - capture.began
            call_all(after, capture)

    graphs.capture_begin, graphs.capture_end = capture_begin, capture_end


def _wrap_construction(graphs: Any, changes: list[Handler]) -> None:
    """Change what a graph is made with. Python gives it to `__new__` and again to `__init__`."""
    make, initialise = graphs.__new__, graphs.__init__

    @functools.wraps(make)
    def make_graph(cls: type, *arguments: Any, **keys: Any) -> Any:
        # The one argument that torch knows, by position too.
        given = {**dict(zip(("keep_graph",), arguments, strict=False)), **keys}
        for change in changes:
            change(given)
        graph = make(cls, **given)
        graph._harness_given = given
        return graph

    def initialise_graph(self: Any, *_: Any, **__: Any) -> None:
        initialise(self, **vars(self).pop("_harness_given"))

    graphs.__new__, graphs.__init__ = staticmethod(make_graph), initialise_graph


def wrap_replay(
    replay: Callable[[Any], None], before: list[Handler], after: list[Handler]
) -> Callable[[Any], None]:
    @functools.wraps(replay)
    def replay_graph(self: Any) -> None:
        capture: Capture | None = getattr(self, ATTRIBUTE, None)
        if capture is None:  # captured before the hook began
            replay(self)
            return
        call_all(before, capture)
        capture.threads.add(threading.get_ident())
        try:
            replay(self)
        finally:
            capture.threads.discard(threading.get_ident())
        capture.replays += 1
        call_all(after, capture)

    return replay_graph

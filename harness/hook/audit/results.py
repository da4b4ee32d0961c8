"""Results of recorded graphs that are read too late: another graph's replay wrote over them.

Graphs of one pool take each other's freed blocks, so that a replay may write over what another
graph answered. That is sound if the answer was used, or copied, before. Holding it longer is no
fault either; reading it is. So while somebody holds a spoiled answer, operators are watched.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .spans import Span


@dataclass(slots=True)
class Result:
    """One block that a graph answers in."""

    name: str
    span: Span
    entry: Any
    """The arena's: its weak reference keeps the count readable."""
    baseline: int
    """Tensors of its storage that the graph itself holds, and one for Python's object."""
    spoiled_by: str | None = None
    """The graph whose replay has written there since its own graph's."""

    def has_holders(self) -> bool:
        """Tell whether tensors of its storage are held beside the graph's own."""
        torch: Any = sys.modules["torch"]
        if self.entry[0].expired():
            return False
        count: int = torch._C._storage_Use_Count(self.entry[0].cdata)
        return count > self.baseline


def find_results(graph: Any, arena: Any) -> list[Result]:
    """Return the blocks of an arena in which a RecordedGraph answers."""
    entries = {arena.get_address(entry[1]): entry for entry in arena.list_live()}
    held: dict[int, list[str]] = {}
    for name, tensor in graph.outputs.items():
        held.setdefault(int(tensor.untyped_storage().data_ptr()), []).append(name)
    return [
        Result(
            ", ".join(names),
            Span(address, address + entries[address][1].size),
            entries[address],
            len(names) + 1,
        )
        for address, names in held.items()
        if address in entries
    ]


class ReadWatch:
    """Calls `on_read(operator, address)` for whatever reads a tensor's values.

    Between two events of the hook alone, and on one thread: whoever enters a mode of its own
    meanwhile, and stays in it, keeps ours from being left until it has left its own.
    """

    def __init__(self, on_read: Callable[[str, int], None]) -> None:
        self._on_read = on_read
        self._modes: list[tuple[Any, Callable[[], Any]]] = []
        self._is_on = False

    def begin(self) -> None:
        """Watch this thread from now on."""
        if self._is_on:
            return
        self._modes = self._modes or [
            (_make_operator_mode(self._on_read), _find_operator_mode),
            (_make_method_mode(self._on_read), _find_method_mode),
        ]
        for mode, _ in self._modes:
            mode.__enter__()
        self._is_on = True

    def end(self) -> None:
        """Watch no more."""
        if self._is_on and all(find() is mode for mode, find in self._modes):
            for mode, _ in self._modes:
                mode.__exit__(None, None, None)
            self._is_on = False


def _find_operator_mode() -> Any:
    modes: Any = sys.modules["torch.utils._python_dispatch"]
    return modes._get_current_dispatch_mode()


def _find_method_mode() -> Any:
    overrides: Any = sys.modules["torch.overrides"]
    return overrides._get_current_function_mode()


def _make_operator_mode(on_read: Callable[[str, int], None]) -> Any:
    modes: Any = sys.modules["torch.utils._python_dispatch"]

    class Mode(modes.TorchDispatchMode):  # type: ignore[misc]  # torch is not imported by us
        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            return False  # otherwise the first call imports the compiler

        def __torch_dispatch__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
        ) -> Any:
            for tensor in _list_read(func, args):
                on_read(str(func), int(tensor.data_ptr()))
            return func(*args, **(kwargs or {}))

    return Mode()


def _make_method_mode(on_read: Callable[[str, int], None]) -> Any:
    """Methods that read a CPU tensor behind the dispatcher."""
    overrides: Any = sys.modules["torch.overrides"]

    class Mode(overrides.TorchFunctionMode):  # type: ignore[misc]  # torch is not imported by us
        def __torch_function__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
        ) -> Any:
            name = getattr(func, "__name__", "")
            if name in ("tolist", "numpy", "__array__"):
                on_read(name, int(args[0].data_ptr()))
            return func(*args, **(kwargs or {}))

    return Mode()


def _list_read(func: Any, args: tuple[Any, ...]) -> Iterator[Any]:
    """Yield the tensors whose values an operator reads; one that makes a view reads none."""
    torch: Any = sys.modules["torch"]
    if any(one.alias_info and not one.alias_info.is_write for one in func._schema.returns):
        return
    for parameter, value in zip(func._schema.arguments, args, strict=False):
        is_written = parameter.alias_info is not None and parameter.alias_info.is_write
        for one in value if isinstance(value, list | tuple) else (value,):
            if isinstance(one, torch.Tensor) and not is_written:
                yield one

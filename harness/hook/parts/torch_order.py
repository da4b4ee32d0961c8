"""`torch-order:ascending`: turns plain capture loops in the modules of the suite itself."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from ..ordering import Ordering, are_sizes
from ..overlays import loops

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

    from ..channel import Channel

#: Iterables whose items can be read before the loop begins.
_KEYS: type[Any] = type({}.keys())
_REVERSED: type[Any] = type(reversed([]))
_TURNABLE: tuple[type[Any], ...] = (list, tuple, range, set, frozenset, dict, _KEYS, _REVERSED)


class LoopOverlay:
    """Listens to each module of the suite's own, and turns its loops."""

    def __init__(self, order: str, channel: Channel) -> None:
        seed = os.environ.get("HARNESS_SEED", "0")
        self._ordering = Ordering(order, int(seed) if seed.isdigit() else 0)
        self._channel = channel
        self._folder = os.getcwd() + os.sep  # noqa: PTH109 - as Python spells it

    def on_import(self, module: ModuleType) -> None:
        """Wrap the loaders: Python's for source files, and pytest's for tests."""
        if module.__name__ == "os":
            from importlib.machinery import SourceFileLoader

            _wrap_loader(SourceFileLoader, lambda one: self._take(one, rewritten=False))
        else:
            loader: Any = vars(module)["AssertionRewritingHook"]
            _wrap_loader(loader, lambda one: self._take(one, rewritten=True))

    def _take(self, module: ModuleType, *, rewritten: bool) -> None:
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not self._is_own(file):
            return
        try:
            self._turn(module, file, rewritten=rewritten)
        except Exception as error:  # the suite's module is as it was
            self._channel.emit_error(f"torch-order in {module.__name__}", error)

    def _turn(self, module: ModuleType, file: str, *, rewritten: bool) -> None:
        with open(file, encoding="utf-8") as text:  # noqa: PTH123 - pathlib is slow to load
            source = text.read()
        if loops.is_worth_parsing(source):
            lines = loops.turn_loops(module, source, rewritten=rewritten)
            vars(module)[loops.ORDER_NAME] = self._make_order(module.__name__, lines)

    def _is_own(self, file: str) -> bool:
        """Return whether a file belongs to the suite, and not to what is installed."""
        installed = (sys.prefix + os.sep, sys.base_prefix + os.sep)
        return file.startswith(self._folder) and not (
            "site-packages" in file or file.startswith(installed)
        )

    def _make_order(self, module: str, lines: list[int]) -> Callable[[Any], Any]:
        told: set[str] = set()

        def order(iterable: Any) -> Any:
            items = _read_items(iterable)
            if not items or not (are_sizes(items) or are_sizes(_list_firsts(items))):
                return iterable if items is None else iter(items)
            if not told:
                told.add(module)
                self._channel.emit(
                    "order", order=self._ordering.order, engine="torch", module=module, lines=lines,
                    patched="loops",
                )  # fmt: skip
            return self._ordering.sort(items, _get_size)

        return order


def _read_items(iterable: Iterable[Any]) -> list[Any] | None:
    """Return the items; None for an iterable that may do something between two of them."""
    return [*iterable] if isinstance(iterable, _TURNABLE) else None


def _list_firsts(items: list[Any]) -> list[Any]:
    """Return the first elements of tuples such as (batch size, length)."""
    return [one[0] if isinstance(one, tuple) and one else None for one in items]


def _get_size(item: Any) -> int:
    return int(item[0] if isinstance(item, tuple) else item)


def _wrap_loader(loader: Any, take: Callable[[ModuleType], None]) -> None:
    execute = loader.exec_module

    def exec_module(self: Any, module: ModuleType) -> None:
        execute(self, module)
        take(module)

    loader.exec_module = exec_module


def make_part(argument: str, channel: Channel) -> LoopOverlay:
    """Return the part. Raises ValueError for an order that does not exist."""
    return LoopOverlay(argument, channel)

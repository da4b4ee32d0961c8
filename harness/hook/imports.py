"""Waits for modules to be imported, without importing them."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    OnImport = Callable[[ModuleType], None]


def watch(wanted: dict[str, OnImport]) -> None:
    """Call each function with its module, once, right after the module was executed.

    A module that is imported already counts at once.
    """
    finder = _Finder(wanted)
    finder.call_for_imported()
    if finder.waiting:
        sys.meta_path.insert(0, finder)


def load_part(name: str) -> Any:
    """Import the module of a part and return it."""
    module = f"{__package__}.parts.{name.replace('-', '_')}"
    __import__(module)
    return sys.modules[module]


class _Finder:
    """Stands first on `sys.meta_path` until nothing is waited for any more."""

    def __init__(self, waiting: dict[str, OnImport]) -> None:
        self.waiting = waiting
        self._busy: set[str] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Called for each import. Finds what the finders behind us find, and listens."""
        if name not in self.waiting:
            # Another finder may stand before us by now, and load modules past us.
            self.call_for_imported()
            return None
        if name in self._busy:
            return None
        self._busy.add(name)
        try:
            spec = self._ask_others(name, path, target)
        finally:
            self._busy.discard(name)
        if spec is not None and spec.loader is not None:
            listening: Any = _Loader(spec.loader, self)
            spec.loader = listening
        return spec

    def call_for_imported(self) -> None:
        """Call for each module that is imported already and was not seen."""
        for name in [*self.waiting]:
            module = sys.modules.get(name)
            spec = getattr(module, "__spec__", None)
            if module is not None and not getattr(spec, "_initializing", False):
                self.call(module)

    def call(self, module: ModuleType) -> None:
        """Call for one module, once."""
        function = self.waiting.pop(module.__name__, None)
        if not self.waiting and self in sys.meta_path:
            sys.meta_path.remove(self)
        if function is not None:
            function(module)

    def _ask_others(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        for finder in [*sys.meta_path]:
            find = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(name, path, target) if find and finder != self else None
            if spec is not None:
                return spec
        return None


class _Loader:
    """Executes a module as its own loader does, and says so. The module never sees this object."""

    def __init__(self, loader: Any, finder: _Finder) -> None:
        self._loader = loader
        self._finder = finder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Called by the import system."""
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Called by the import system. Raises HookRefusal if a part refuses this module."""
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._finder.call(module)

"""Patches one module of an engine, after it was executed and before the engine uses it."""

from __future__ import annotations

import ast
import builtins
import functools
import re
import sys
from typing import TYPE_CHECKING, Any

from ..refusal import HookRefusal

if TYPE_CHECKING:
    from types import ModuleType

    from ..ordering import Ordering
    from .rows import Engine, Target


def patch_module(engine: Engine, target: Target, module: ModuleType, ordering: Ordering) -> str:
    """Turn the order of what the module captures. Return what was patched, "" for nothing to do.

    Raises HookRefusal if the engine's version or the module's code is not what it is written for.
    """
    version = read_version(engine.name)
    if not is_within(version, engine.first, engine.below):
        raise HookRefusal(
            f"{engine.name}-order is for {engine.name} {engine.first} up to, not including, "
            f"{engine.below}, and this is {version}: run without it, or order the captures with "
            "the engine's own options"
        )
    if not is_within(version, target.first, target.below):
        if target.refused_outside:
            _refuse_use(target, module, f"{engine.name} {version}")
        return ""
    source = read_source(module)
    _PATCHES[target.how](target, module, source, ordering)
    return target.how


def read_version(package: str) -> str:
    """Return the version that the engine itself says it is."""
    module = sys.modules.get(f"{package}.version") or sys.modules.get(package)
    stated = getattr(module, "__version__", None)
    if isinstance(stated, str):
        return stated
    import importlib.metadata

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"


def is_within(version: str, first: str, below: str) -> bool:
    """Return whether first <= version < below; a version without numbers is not."""
    numbers = _parse(version)
    return bool(numbers) and _parse(first) <= numbers < _parse(below)


def _parse(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(part) for part in found[0].split(".")] if found else []
    while numbers and numbers[-1] == 0:  # 0.15.0 is 0.15
        del numbers[-1]
    return tuple(numbers) or ((0,) if found else ())


def read_source(module: ModuleType) -> str:
    """Return the module's source, or raise HookRefusal: what cannot be read is not patched."""
    loader: Any = module.__spec__.loader if module.__spec__ else None
    try:
        source = loader.get_source(module.__name__)
    except (AttributeError, ImportError, OSError, SyntaxError):
        source = None
    if not isinstance(source, str):
        raise HookRefusal(f"the source of {module.__name__} cannot be read, so nothing is patched")
    return source


def _replace_reversed(target: Target, module: Any, source: str, ordering: Ordering) -> None:
    """Shadow the built-in `reversed` in this module alone."""
    found = find_reversed(source)
    if target.expected[0] not in found or not found <= {*target.expected}:
        _refuse(target, f"reversed({' or '.join(target.expected)})", sorted(found))
    module.reversed = ordering.make_reversed(builtins.reversed)


def find_reversed(source: str) -> set[str]:
    """Return the arguments of all calls of `reversed` in a source."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return {
        ast.unparse(call.args[0])
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "reversed" and call.args
    }


def _wrap_dispatcher(target: Target, module: Any, source: str, ordering: Ordering) -> None:
    """vLLM's list of what is captured in each mode, largest first."""
    _expect_texts(target, source)
    dispatcher = module.CudagraphDispatcher
    list_descriptors = dispatcher.get_capture_descs

    @functools.wraps(list_descriptors)
    def get_capture_descs(self: Any) -> Any:
        found = list_descriptors(self)
        return [(mode, ordering.sort(descs, lambda d: d.num_tokens)) for mode, descs in found]

    dispatcher.get_capture_descs = get_capture_descs


def _wrap_manager(target: Target, module: Any, source: str, ordering: Ordering) -> None:
    """The lists that vLLM's second model runner captures from."""
    _expect_texts(target, source)
    manager = module.CudaGraphManager
    capture_graphs = manager.capture

    @functools.wraps(capture_graphs)
    def capture(self: Any, *arguments: Any, **keys: Any) -> Any:
        # A sample of the largest graphs, to estimate memory: it stays the largest.
        if getattr(self, "_max_full_descs_to_capture", None) is None:
            for mode, descs in self._capture_descs.items():
                self._capture_descs[mode] = ordering.sort(descs, lambda d: d.num_tokens)
        return capture_graphs(self, *arguments, **keys)

    manager.capture = capture


def _refuse_use(target: Target, module: Any, version: str) -> None:
    """Refuse once the manager is made: versions before its time import it and do not use it."""

    def refuse(*_: Any, **__: Any) -> None:
        raise HookRefusal(
            f"vllm-order cannot turn what {target.module} captures before {target.first}, and "
            f"this is {version}: use vLLM's other model runner"
        )

    module.CudaGraphManager.__init__ = refuse


def _expect_texts(target: Target, source: str) -> None:
    missing = [text for text in target.expected if text not in source]
    if missing:
        _refuse(target, " and ".join(target.expected), missing)


def _refuse(target: Target, expected: str, found: list[str]) -> None:
    raise HookRefusal(
        f"{target.module} is not the code that the overlay was written for: expected {expected}, "
        f"and differing is {', '.join(found) or 'all of it'}; the capture order is not turned"
    )


_PATCHES = {
    "reversed": _replace_reversed,
    "dispatcher": _wrap_dispatcher,
    "manager": _wrap_manager,
}

"""Turns plain loops around torch.cuda.graph: `for bs in sizes: with torch.cuda.graph(g): ...`.

The capture context alone cannot do it: when it is entered, the loop has chosen its size already. So
the functions of the suite's own modules are compiled again, right after their module was executed,
with the loop's iterable put into the order that was asked for. A loop counts if it captures in its
body, or calls a function of the same module that does. What cannot be turned: loops at the top of a
module or a script, which ran before, loops in other packages, and iterables that are no sizes.
"""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, FunctionType, ModuleType

#: The name under which a turned loop finds our function among its module's globals.
ORDER_NAME = "_harness_order"
_CAPTURES = ("cuda.graph", "CUDAGraph", "capture_begin")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def is_worth_parsing(source: str) -> bool:
    """Return whether a source mentions CUDA graphs at all."""
    return any(word in source for word in _CAPTURES)


def turn_loops(module: ModuleType, source: str, *, rewritten: bool) -> list[int]:
    """Compile the functions of a module again, with their capture loops turned.

    Return the lines of the loops. `rewritten`: pytest rewrote the module's assertions, and the new
    code needs the same.
    """
    tree = ast.parse(source)
    loops = find_capture_loops(tree)
    if not loops:
        return []
    for loop in loops:
        call = ast.Call(ast.Name(ORDER_NAME, ast.Load()), [loop.iter], [])
        loop.iter = ast.copy_location(call, loop.iter)
    ast.fix_missing_locations(tree)
    if rewritten:
        _rewrite_assertions(tree, source, str(module.__file__))
    compiled = compile(tree, str(module.__file__), "exec", dont_inherit=True)
    turned = {code for loop in loops for code in [_find_outermost(tree, loop)] if code}
    replaced = _replace_codes(module, compiled, turned)
    return sorted(loop.lineno for loop in loops if _find_outermost(tree, loop) in replaced)


def find_capture_loops(tree: ast.Module) -> list[ast.For]:
    """Return the innermost loops that capture, directly or through a function of the module."""
    functions = [node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)]
    names: set[str] = set()
    while True:
        more = {f.name for f in functions if _captures_openly(f.body, names)} - names
        if not more:
            break
        names |= more
    loops = [node for node in ast.walk(tree) if isinstance(node, ast.For)]
    return [loop for loop in loops if _captures_openly(loop.body, names)]


def _captures_openly(body: list[ast.stmt], names: set[str]) -> bool:
    """Return whether code captures, or calls one of the functions, outside any loop of its own."""
    return any(_is_capture(node, names) for node in _walk_outside_loops(body))


def _walk_outside_loops(nodes: list[Any]) -> Iterator[ast.AST]:
    for node in nodes:
        yield node
        if not isinstance(node, (ast.For, *_FUNCTIONS)):
            yield from _walk_outside_loops([*ast.iter_child_nodes(node)])


def _is_capture(node: ast.AST, names: set[str]) -> bool:
    if not isinstance(node, ast.Call):
        return False
    called = node.func
    name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
    text = ast.unparse(called)
    return name in names or name == "capture_begin" or text.endswith("cuda.graph")


def _find_outermost(tree: ast.Module, loop: ast.For) -> tuple[str, int] | None:
    """Return the qualified name and line of the function or method that a loop lies in."""
    for name, function in _iterate_functions(tree.body, ""):
        if any(node is loop for node in ast.walk(function)):
            return name, function.lineno
    return None


def _iterate_functions(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.stmt]]:
    for node in body:
        if isinstance(node, _FUNCTIONS):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _iterate_functions(node.body, f"{prefix}{node.name}.")


def _rewrite_assertions(tree: ast.Module, source: str, file: str) -> None:
    rewrite: Any = sys.modules["_pytest.assertion.rewrite"]
    rewrite.rewrite_asserts(tree, source.encode(), file)


def _replace_codes(
    module: ModuleType, compiled: CodeType, wanted: set[tuple[str, int]]
) -> set[tuple[str, int]]:
    """Give the module's functions their new code; return those that were found."""
    codes = {code.co_qualname: code for code in _iterate_codes(compiled)}
    lines = dict(wanted)
    replaced = set()
    for function in _iterate_live(vars(module), str(module.__file__), set()):
        name, old = function.__qualname__, function.__code__
        new = codes.get(name)
        if name in lines and new is not None and new.co_freevars == old.co_freevars:
            function.__code__ = new
            replaced.add((name, lines[name]))
    return replaced


def _iterate_codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, type(code)):
            yield constant
            yield from _iterate_codes(constant)


def _iterate_live(names: Any, file: str, seen: set[int]) -> Iterator[FunctionType]:
    """Yield the functions of this file that names lead to: in classes, behind decorators."""
    for value in [*names.values()]:
        if id(value) in seen:
            continue
        seen.add(id(value))
        code = getattr(value, "__code__", None)
        if code is not None and code.co_filename == file:
            yield value
        yield from _iterate_live(_list_inside(value, file), file, seen)


def _list_inside(value: Any, file: str) -> dict[str, Any]:
    """Return what a class of this file or a decorated function holds."""
    if isinstance(value, type):
        module = sys.modules.get(value.__module__)
        return dict(vars(value)) if getattr(module, "__file__", None) == file else {}
    wrappers = ("__func__", "__wrapped__", "fget", "_fixture_function", "func")
    try:
        return {name: getattr(value, name) for name in wrappers if hasattr(value, name)}
    except Exception:  # an object whose attributes run code of the suite
        return {}

"""What the tests of the project's shape read from its sources."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).parent.parent
PACKAGE = PROJECT / "harness"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def read_tree(path: Path) -> ast.Module:
    """Return the parsed source of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class FoundFunction:
    """A function or method as its source declares it."""

    path: Path
    node: Function

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def where(self) -> str:
        return f"{self.path.relative_to(PROJECT)}:{self.node.lineno} {self.name}"

    @property
    def lines(self) -> int:
        """Lines from `def` to the last one; decorators are not counted."""
        assert self.node.end_lineno is not None
        return self.node.end_lineno - self.node.lineno + 1

    @property
    def parameters(self) -> int:
        """Parameters without `self` and `cls`; `*args` and `**kwargs` count as one each."""
        given = self.node.args
        named = [*given.posonlyargs, *given.args, *given.kwonlyargs]
        without_self = named[1:] if named and named[0].arg in ("self", "cls") else named
        return len(without_self) + (given.vararg is not None) + (given.kwarg is not None)

    @property
    def decorators(self) -> list[str]:
        return [ast.unparse(decorator) for decorator in self.node.decorator_list]


def find_functions(folder: Path) -> Iterator[FoundFunction]:
    """Yield every function and method below a folder, nested ones included."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(read_tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield FoundFunction(path, node)


def list_modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Return the modules of a package by their full names; a package's own file by its folder's."""
    modules = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def find_imported_names(path: Path, module: str) -> set[str]:
    """Return the full names that a file imports anywhere: at its top, in functions, for types.

    `from a import b` gives `a.b`; relative imports are resolved against `module`.
    """
    names: set[str] = set()
    for node in ast.walk(read_tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            source = _resolve_source(node, path, module)
            names |= {f"{source}.{alias.name}" for alias in node.names}
    return names


def _resolve_source(node: ast.ImportFrom, path: Path, module: str) -> str:
    if not node.level:
        return node.module or ""
    up = node.level - (path.name == "__init__.py")
    base = module.split(".")[: -up or None]
    return ".".join([*base, *([node.module] if node.module else [])])


def build_import_graph(package: Path = PACKAGE) -> dict[str, set[str]]:
    """Return for each module the modules of the same package that it imports."""
    modules = list_modules(package)
    graph: dict[str, set[str]] = {}
    for module, path in modules.items():
        names = find_imported_names(path, module)
        graph[module] = {_find_module(name, modules) for name in names} & set(modules) - {module}
    return graph


def _find_module(name: str, modules: dict[str, Path]) -> str:
    """Return the module that a name is or lies in: `a.b.C` lies in `a.b`."""
    return name if name in modules else name.rpartition(".")[0]


def find_circular_modules(graph: dict[str, set[str]]) -> set[str]:
    """Return the modules that reach themselves along imports: empty if there is no circle."""
    return {module for module in graph if module in _find_reachable(graph, module)}


def _find_reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    reached: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting.extend(graph[module])
    return reached

"""A suite: a pytest file, class or test, and what it declares about its engine.

`engine_args = dict(...)` and `pinned = (...)` are read from the source without importing it: the
driver must know them before any process of the suite exists, and must never run the suite's code.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from harness.core.errors import UsageError

Literal = str | int | float | bool | None | list["Literal"] | dict[str, "Literal"]

#: Longer ids are somebody's mistake or attack.
_MOST_CHARACTERS = 4096
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class SuiteRef:
    """Where a suite stands: a file or folder, and the classes and the test in it.

    name: what the configuration calls it; its path is then empty if it has no single file.
    """

    path: str
    parts: tuple[str, ...] = ()
    name: str = ""

    @property
    def nodeid(self) -> str:
        """The pytest node id, as the user wrote it."""
        return "::".join((self.path, *self.parts))

    @property
    def key(self) -> str:
        """What plans and reports call the suite: its name, else its node id."""
        return self.name or self.nodeid


# What a suite of this project's engine has in its text: its import, or the declaration of a class.
_ENGINE = re.compile(r"^\s*(from|import)\s+harness\.engine\b|^\s*engine_args\s*=", re.M)


@lru_cache(maxsize=256)
def uses_engine(suite: str, folder: Path) -> bool:
    """Return whether the file of this SUITE builds this project's engine; not if it is no file."""
    path = folder / suite.partition("::")[0]
    try:
        return _ENGINE.search(path.read_text(encoding="utf-8", errors="replace")) is not None
    except OSError:
        return False


def mentions_cell(path: Path) -> bool:
    """Return whether a file's text has the name of the variable that holds an attempt's cell."""
    return b"HARNESS_CELL" in path.read_bytes()


@dataclass(frozen=True, slots=True)
class EngineDeclaration:
    """What a class (or the module) says of its engine: arguments, and those no cell changes."""

    engine_args: dict[str, Literal] = field(default_factory=dict)
    pinned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SuiteDeclarations:
    """Declarations of one file: the module's own, and one per class that holds tests."""

    module: EngineDeclaration
    classes: dict[str, EngineDeclaration]
    has_plain_tests: bool


def parse_suite(text: str) -> SuiteRef:
    """Read a SUITE argument. Raises UsageError naming what is wrong with it."""
    path, colons, inside = text.partition("::")
    if not text.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise UsageError(
            f"suite {text[:200]!a} is not UTF-8, which results are stored in: rename it"
        )
    if not path:
        raise UsageError(f"suite {text!r} names no file; write FILE[::Class[::test]]")
    # A parameter's own text may hold anything, colons and brackets included.
    names, bracket, parameter = inside.partition("[")
    parts = names.split("::")
    if (colons and not all(parts)) or _CONTROL.search(text) or len(text) > _MOST_CHARACTERS:
        raise UsageError(f"suite {text[:200]!r} is not FILE[::Class[::test]]")
    parts[-1] += bracket + parameter
    return SuiteRef(path, tuple(parts) if colons else ())


def read_declarations(ref: SuiteRef, folder: Path = Path()) -> SuiteDeclarations:
    """Read a suite file's declarations; its path is relative to `folder`.

    Raises UsageError where the file is missing, is not Python, or declares something that is not
    a literal; and where the named class or test does not stand in it.
    """
    path = folder / ref.path
    if path.is_dir() or (path.is_file() and path.suffix != ".py"):
        # A folder, or text with doctests: pytest knows what is in it.
        return SuiteDeclarations(EngineDeclaration(), {}, has_plain_tests=True)
    if not path.is_file():
        raise UsageError(f"suite file {ref.path!r} does not exist{_hint(ref.path)}")
    try:
        tree = ast.parse(path.read_bytes(), filename=ref.path)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"suite file {ref.path!r} is not valid Python: {error}") from None
    declared = _declarations(tree, ref.path)
    _check_part_exists(tree, ref)
    return declared


def _declarations(tree: ast.Module, path: str) -> SuiteDeclarations:
    module = _declaration(tree.body, f"{path}", EngineDeclaration())
    classes = {
        node.name: _declaration(node.body, f"{path}::{node.name}", module)
        for node in tree.body
        if isinstance(node, ast.ClassDef) and _holds_tests(node)
    }
    plain = any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")
        for node in tree.body
    )
    return SuiteDeclarations(module, classes, plain)


def _holds_tests(node: ast.ClassDef) -> bool:
    """A class pytest would collect: named Test*, or a TestCase; bases such as mixins are not."""
    bases = {
        base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
        for base in node.bases
    }
    return node.name.startswith("Test") or "TestCase" in bases


def _declaration(
    body: list[ast.stmt], where: str, inherited: EngineDeclaration
) -> EngineDeclaration:
    assigned = {
        target.id: node.value
        for node in body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    args = inherited.engine_args
    if "engine_args" in assigned:
        args = {**args, **_literal_dict(assigned["engine_args"], f"{where}: engine_args")}
    pinned = inherited.pinned
    if "pinned" in assigned:
        value = _literal(assigned["pinned"], f"{where}: pinned")
        if not isinstance(value, list | tuple | set) or not all(isinstance(v, str) for v in value):
            raise UsageError(f"{where}: pinned must be a tuple of names")
        pinned = tuple(str(name) for name in value)
    return EngineDeclaration(args, pinned)


def _literal_dict(node: ast.expr, where: str) -> dict[str, Literal]:
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "dict" and not node.args:
        pairs = {kw.arg: kw.value for kw in node.keywords}
        if None in pairs:
            raise UsageError(f"{where} must be literals: `**` cannot be read without importing")
        return {str(name): _literal(value, where) for name, value in pairs.items()}
    value = _literal(node, where)
    if not isinstance(value, dict):
        raise UsageError(f"{where} must be a dict of literals")
    return value


def _literal(node: ast.expr, where: str) -> Literal:
    try:
        value: Literal = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise UsageError(f"{where} must be literals (line {node.lineno})") from None
    return value


def _check_part_exists(tree: ast.Module, ref: SuiteRef) -> None:
    body: list[ast.stmt] = tree.body
    for part in ref.parts:
        name = part.partition("[")[0]
        found = [n for n in body if getattr(n, "name", None) == name]
        if not found and body is tree.body:
            known = ", ".join(_list_tests(body)) or "none"
            raise UsageError(f"{ref.path!r} has no {name!r}; classes and tests there: {known}")
        # An inherited test is not in the class's own body: pytest will tell.
        body = getattr(found[0], "body", []) if found else []


def _list_tests(body: list[ast.stmt]) -> list[str]:
    classes = [n.name for n in body if isinstance(n, ast.ClassDef) and _holds_tests(n)]
    return classes or [
        n.name
        for n in body
        if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n.name.startswith("test")
    ]


def _hint(path: str) -> str:
    """Return what a word that is no path may have been: a configured name, or a second value."""
    if "." in path or "/" in path:
        return ""
    return (
        ", and harness.toml has no suite of this name; values of one option are joined by commas, "
        "as in --order ascending,descending"
    )


#: The roles that have an attention backend of their own; the argument `backend` sets all three.
BACKEND_ROLES = ("prefill_backend", "decode_backend", "draft_backend")
DEFAULT_BACKEND = "torch_native"


def role_backends(*layers: Mapping[str, object]) -> dict[str, str]:
    """Each role's backend, in the order of `BACKEND_ROLES`, where later layers win.

    Within a layer a role's own value wins over `backend`.
    """
    found = dict.fromkeys(BACKEND_ROLES, DEFAULT_BACKEND)
    for layer in layers:
        if "backend" in layer:
            found = dict.fromkeys(BACKEND_ROLES, str(layer["backend"]))
        found |= {role: str(layer[role]) for role in BACKEND_ROLES if role in layer}
    return found


def clashes(declared: EngineDeclaration, axes: Mapping[str, object]) -> list[str]:
    """Pinned arguments that this cell would change: the class is not applicable there.

    An `order` or `tp` equal to the pinned value is no clash. A pinned `backend` pins all three
    roles.
    """
    before = role_backends(declared.engine_args)
    after = role_backends(declared.engine_args, axes)
    changed = [role for role in BACKEND_ROLES if before[role] != after[role]]
    if changed:
        changed.append("backend")
    changed += [
        name
        for name, value in axes.items()
        if name not in ("backend", *BACKEND_ROLES) and declared.engine_args.get(name) != value
    ]
    return [
        f"{name} is pinned to {declared.engine_args.get(name)!r}"
        for name in changed
        if name in declared.pinned
    ]

"""What a known fault declares of itself, read from its source without importing it."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Truth:
    """One known fault. `suite` is its file; `axes`: what to vary, the failing value first.

    `factor` is the name of the axis, or recorded factor, that failures follow; empty for none.
    """

    suite: str
    fault: str
    kind: str
    factor: str
    loud: bool
    mechanism: str
    amplifier: str
    axes: Mapping[str, tuple[str, ...]]
    options: Mapping[str, Any] = field(default_factory=dict)

    def list_unrelated(self) -> set[str]:
        """Return the axes, as a report names them, that failures do not follow."""
        axes = {f"env:{n}" if n.isupper() else n for n in self.axes}
        return axes - {self.factor, *self.options.get("also_follows", ())}


def read_truth(path: Path) -> Truth | None:
    """Return what a suite declares; None if it declares no truth. Raise UsageError if it is odd."""
    found = _read_literals(path, ("truth", "axes", "options"))
    if "truth" not in found:
        return None
    axes = {n: tuple(map(str, values)) for n, values in found.get("axes", {}).items()}
    try:
        return Truth(str(path), axes=axes, options=found.get("options", {}), **found["truth"])
    except TypeError as error:
        raise UsageError(f"{path}: its truth is not complete: {error}") from None


def _read_literals(path: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """Return what a module assigns to names by `dict(...)` of literals."""
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
        return {
            target.id: {str(word.arg): ast.literal_eval(word.value) for word in node.value.keywords}
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
            for target in node.targets
            if isinstance(target, ast.Name) and target.id in names
        }
    except (OSError, SyntaxError, ValueError) as error:
        raise UsageError(f"{path}: its literals cannot be read: {error}") from None

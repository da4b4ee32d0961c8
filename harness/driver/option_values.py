"""Values of single options: what may be given, and what older versions stored."""

from collections.abc import Mapping
from typing import Any

from harness.attempt.sandbox import SANDBOX_CHOICES, SANDBOX_PARTS
from harness.core.cell import ENV_PREFIX
from harness.core.errors import UsageError


def upgrade_options(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return what harness 0.1.0 stored, which kept axes parsed, in today's form."""
    values = dict(stored)
    for axis in values.pop("axes", ()):
        name, texts = axis["name"], ",".join(str(value) for value in axis["values"])
        kind = "env" if name.startswith(ENV_PREFIX) else "axis"
        text = f"{name.removeprefix(ENV_PREFIX)}={texts}"
        values[kind] = (*values.get(kind, ()), text)
    return values


def check_sandbox(given: tuple[str, ...]) -> None:
    """Raise UsageError for what `--sandbox` does not know."""
    if given and (given[0] not in SANDBOX_CHOICES or not {*given[1:]} <= {*SANDBOX_PARTS}):
        raise UsageError(
            f"--sandbox {','.join(given)!r}: write {', '.join(SANDBOX_CHOICES)}, "
            f"and after a comma further parts: {', '.join(SANDBOX_PARTS)}"
        )

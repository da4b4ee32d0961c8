"""Values of single options: what may be given, and what older versions stored."""

import re
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


def check_limits(memory: str | None, processes: int | None) -> None:
    """Raise UsageError for a limit that no attempt could keep to."""
    parse_size(memory)
    if processes is not None and processes < 1:
        raise UsageError(f"--max-processes {processes}: give at least 1")


_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_LEAST_BYTES = 1 << 24


def parse_size(text: str | None) -> int | None:
    """Return the bytes of `8G`, `512M` or `1000000`; None of None. Raise UsageError."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,15})([KMGT]?)(?:iB|B)?", text.strip())
    size = int(found[1]) * _UNITS[found[2]] if found else 0
    if size < _LEAST_BYTES:
        raise UsageError(f"--memory {text!r}: write for example 8G or 512M, at least 16M")
    return size


def check_revisions(
    revs: tuple[str, ...], pythons: tuple[str, ...], address: str | None, isolation: str | None
) -> None:
    """Raise UsageError for revisions that cannot be measured so."""
    if "" in revs:
        raise UsageError("--rev: a revision is empty; remove the stray comma")
    if revs and address is not None:
        raise UsageError(
            f"--rev with --address {address}: worktrees exist on this machine only; "
            "leave --address out"
        )
    if pythons and len(pythons) != len(revs):
        raise UsageError(
            f"--rev-python names {len(pythons)} interpreters for {len(revs)} "
            "revisions: give one per revision of --rev, in the same order"
        )
    if pythons and isolation == "fork":
        raise UsageError(
            "--rev-python with --isolation fork: ranks would be forked from a process that runs "
            "the interpreter under test; leave --isolation out"
        )

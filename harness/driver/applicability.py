"""Whether a class's engine can be built in a cell: asked before any process starts."""

from collections.abc import Callable, Mapping
from typing import Any

from harness.core.backends import explain_absence, explain_misfit
from harness.core.engine_arguments import ARGUMENTS, default_dtype
from harness.core.errors import UsageError
from harness.core.speculation import DEFAULTS, check_spec
from harness.core.suite import EngineDeclaration, role_backends


def find_misfits(
    declared: EngineDeclaration,
    axes: Mapping[str, object],
    device: str,
    read_head_dim: Callable[[str], int | None],
) -> list[str]:
    """Return why the engine of this class cannot be built in this cell: its drafts, then backends.

    device: `cpu` or `cuda`; read_head_dim: reads it off a checkpoint, by folder. A value that its
    argument cannot have is left to the engine, which names it. Raises UsageError for an unknown
    backend.
    """
    given = {**declared.engine_args, **axes}
    try:
        args = _read_known({"device": device, **given})
    except UsageError:
        return []
    backends = dict.fromkeys(role_backends(declared.engine_args, axes).values())
    model = given.get("model")
    head_dim = read_head_dim(model) if isinstance(model, str) else None
    reasons = (
        explain_absence(name, args["device"])
        or explain_misfit(
            name,
            page_size=args["page_size"],
            dtype=args["dtype"],
            head_dim=head_dim,
            splits=args["attention_splits"],
        )
        for name in backends
    )
    return [*_find_spec_misfits(args), *(reason for reason in reasons if reason)]


def _read_known(given: Mapping[str, object]) -> dict[str, Any]:
    """Return every argument of the table: as given, else its default."""
    read = {name: one.read(given[name]) for name, one in ARGUMENTS.items() if name in given}
    defaults = {name: one.default for name, one in ARGUMENTS.items()}
    return {**defaults, "dtype": default_dtype(str(read["device"])), **read}


def _find_spec_misfits(args: Mapping[str, Any]) -> list[str]:
    """Return why the sizes of a step's drafts do not go together."""
    if not args["speculative"]:
        return []
    try:
        check_spec(*(args[name] for name in DEFAULTS))
    except UsageError as error:
        return [str(error)]
    return []

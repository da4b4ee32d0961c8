"""Whether a class's engine can be built in a cell: asked before any process starts."""

from collections.abc import Callable, Mapping

from harness.core.backends import misfit, unavailable
from harness.core.errors import UsageError
from harness.core.speculation import DEFAULTS, check_spec
from harness.core.suite import EngineDeclaration, role_backends


def misfits(
    declared: EngineDeclaration,
    axes: Mapping[str, object],
    device: str,
    head_dim_of: Callable[[str], int | None],
) -> list[str]:
    """Why the engine of this class cannot be built in this cell: its drafts, then each backend.

    device: `cpu` or `cuda`; head_dim_of: reads it off a checkpoint, by folder. Values of a wrong
    type are left to the engine, which names them. Raises UsageError for an unknown backend.
    """
    args = {**declared.engine_args, **axes}
    device = str(args.get("device", device))
    dtype = args.get("dtype", "bfloat16" if device == "cuda" else "float32")
    page_size, splits = args.get("page_size", 1), args.get("attention_splits", 0)
    if not isinstance(page_size, int) or not isinstance(splits, int):
        return []
    model = args.get("model")
    head_dim = head_dim_of(model) if isinstance(model, str) else None
    names = dict.fromkeys(role_backends(declared.engine_args, axes).values())
    reasons = (
        unavailable(name, device)
        or misfit(name, page_size=page_size, dtype=str(dtype), head_dim=head_dim, splits=splits)
        for name in names
    )
    return [*_spec_misfits(args), *(reason for reason in reasons if reason)]


def _spec_misfits(args: Mapping[str, object]) -> list[str]:
    """Why the sizes of a step's drafts do not go together."""
    sizes = [size for name in DEFAULTS if isinstance(size := args.get(name, DEFAULTS[name]), int)]
    if len(sizes) < len(DEFAULTS) or args.get("speculative", True) in (False, "false", "0", 0):
        return []
    try:
        check_spec(*sizes)
    except UsageError as error:
        return [str(error)]
    return []

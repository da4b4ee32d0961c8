"""Whether the backends of a cell can run a class's engine: asked before any process starts."""

from collections.abc import Callable, Mapping

from harness.core.backends import misfit, unavailable
from harness.core.suite import EngineDeclaration, role_backends


def misfits(
    declared: EngineDeclaration,
    axes: Mapping[str, object],
    device: str,
    head_dim_of: Callable[[str], int | None],
) -> list[str]:
    """Why the engine of this class cannot be built in this cell, one reason per backend.

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
    return [reason for reason in reasons if reason]

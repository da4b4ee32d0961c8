"""Which parts of the start-up hook the attempts of a run have."""

import itertools
from collections.abc import Sequence

from harness.core.amplifiers import AMPLIFY_AXIS, list_parts
from harness.core.cell import ENV_PREFIX, Axis, Cell
from harness.core.errors import UsageError
from harness.hook.registry import ORDER_PARTS, parse_parts

_VARIABLE = f"{ENV_PREFIX}HARNESS_HOOK"


def check_patches(patches: Sequence[str], axes: Sequence[Axis]) -> None:
    """Raise UsageError for a patch that does not exist, or an order that nothing says."""
    varied = [str(value) for axis in axes if axis.name == _VARIABLE for value in axis.values]
    for patch in (*patches, *varied):
        try:
            parts = parse_parts(patch)
        except ValueError as error:
            raise UsageError(f"--patch {patch}: {error}") from None
        for name, argument in parts.items():
            if name in ORDER_PARTS and not argument and "order" not in [one.name for one in axes]:
                raise UsageError(
                    f"--patch {patch}: to which order? Add --order ascending,descending, or write "
                    f"{name}:ascending"
                )


def choose_hook(
    patches: Sequence[str], cell: Cell, *, observed: bool, audited: bool
) -> tuple[str, ...]:
    """Return the parts of the start-up hook that every process of an attempt begins with.

    Amplifiers come last: what they do around a replay is then nearest to it.
    """
    first = (("report",) if observed else ()), patches, (("audit",) if audited else ())
    return (*itertools.chain(*first), *list_parts(cell.get(AMPLIFY_AXIS)))

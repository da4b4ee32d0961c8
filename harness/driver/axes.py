"""The axes of a suite: what options and the configuration name, and the contract's defaults."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from harness.attempt.caches import CACHE_CHOICES, CACHES_AXIS
from harness.core import backends
from harness.core.amplifiers import AMPLIFY_AXIS, check_amplifiers
from harness.core.cell import DEVICES_AXIS, Axis, check_distinct
from harness.core.engine_arguments import BACKEND, check_axis
from harness.core.errors import UsageError
from harness.core.order import CaptureOrder
from harness.core.suite import BACKEND_ROLES, SuiteDeclarations
from harness.core.suite_setup import SuiteSetup


@dataclass(frozen=True, slots=True)
class Machine:
    """What attempts can be given. device: `cpu` or `cuda`; devices: the largest gang."""

    device: str
    devices: int


def complete_axes(
    given: tuple[Axis, ...], machine: Machine, has_engine: bool, setup: SuiteSetup | None = None
) -> list[Axis]:
    """Return the axes of one suite: order, backend, tp first, then its own, then the other given.

    has_engine: the suite builds this project's engine, and has the contract's defaults. Any other
    suite reads no order and no backend, and a second device would only start a rank that it does
    not know: it gets one cell. setup: the suite's, if the configuration names it.
    """
    check_distinct(given)
    named = {axis.name: axis for axis in given}
    own = setup.list_axes(named) if setup else []
    for axis in own:
        named.pop(axis.name, None)
    defaults = _list_defaults(machine, has_engine, setup)
    if not has_engine:
        defaults = {n: v for n, v in defaults.items() if n in (*named, "tp", DEVICES_AXIS)}
    for axis in own:
        defaults.pop(axis.name, None)
    if set(BACKEND_ROLES) <= set(named):
        defaults.pop(BACKEND, None)
    first = [named.pop(name, Axis(name, values)) for name, values in defaults.items()]
    return [*first, *own, *(axis for axis in given if axis.name in named)]


def _list_defaults(
    machine: Machine, has_engine: bool, setup: SuiteSetup | None
) -> dict[str, tuple[str | int, ...]]:
    several = setup is not None and setup.devices > 1
    gang: dict[str, tuple[str | int, ...]] = (
        {DEVICES_AXIS: (setup.devices,)}
        if setup and several
        else {"tp": (2 if machine.devices >= 2 and has_engine else 1,)}
    )
    return {
        "order": (CaptureOrder.ASCENDING.value, CaptureOrder.DESCENDING.value),
        BACKEND: tuple(backends.list_available(machine.device)),
        **gang,
    }


def list_engine_names(declared: Iterable[SuiteDeclarations]) -> set[str]:
    """Return the names that suites declare in `engine_args`."""
    return {n for d in declared for e in (d.module, *d.classes.values()) for n in e.engine_args}


def check_axes(axes: list[Axis], machine: Machine, engine_names: Collection[str]) -> None:
    """Raise UsageError, naming what exists, for an unknown axis or value.

    engine_names: further axes that suites declare; they may be named, whatever they mean.
    """
    for axis in axes:
        if axis.name == CACHES_AXIS:
            _check_caches(axis.values)
            continue
        if axis.name == AMPLIFY_AXIS:
            for value in axis.values:
                check_amplifiers(value)
            continue
        if axis.name != DEVICES_AXIS:
            check_axis(axis.name, axis.values, engine_names)
        for value in axis.values:
            _check_is_here(axis.name, value, machine)


def _check_caches(values: Sequence[str | int]) -> None:
    for value in values:
        if value not in CACHE_CHOICES:
            raise UsageError(f"--caches {value!r}: choose from {', '.join(CACHE_CHOICES)}")


def _check_is_here(name: str, value: str | int, machine: Machine) -> None:
    """Raise UsageError if this machine lacks the backend or the devices that a value asks for."""
    if name in (BACKEND, *BACKEND_ROLES):
        backends.check_backend(str(value), machine.device)
    elif name in ("tp", DEVICES_AXIS) and int(value) > machine.devices:
        what = "--tp" if name == "tp" else "devices ="
        raise UsageError(
            f"{what} {value}: a gang needs that many devices of one node, "
            f"and there are {machine.devices}"
        )

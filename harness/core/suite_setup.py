"""A suite from the configuration: how it is run, and what each value of its axes lays over that."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from harness.core.cell import Axis, Cell, parse_value
from harness.core.errors import UsageError
from harness.core.suite import SuiteRef, parse_suite


class SuiteKind(StrEnum):
    """Who runs the suite's tests."""

    PYTEST = "pytest"
    UNITTEST = "unittest"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Overlay:
    """What is laid over a suite: environment variables, arguments, start-up patches by name."""

    env: Mapping[str, str] = field(default_factory=dict)
    args: tuple[str, ...] = ()
    patches: tuple[str, ...] = ()

    def add(self, other: "Overlay") -> "Overlay":
        """Return both; where they set the same variable, `other` wins."""
        return Overlay(
            {**self.env, **other.env}, self.args + other.args, self.patches + other.patches
        )

    def make_environment(self) -> dict[str, str]:
        """Return the variables, with the start-up patches as the hook reads them."""
        named = [part for part in (self.env.get("HARNESS_HOOK"), *self.patches) if part]
        return {**self.env, **({"HARNESS_HOOK": ",".join(named)} if named else {})}


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteSetup:
    """How one suite of the configuration is run."""

    kind: SuiteKind
    targets: tuple[str, ...]
    """pytest's paths and node ids, a unittest file, or the words of a command."""
    python: str | None = None
    """The interpreter, if not the running one. A relative path is relative to the configuration."""
    cwd: str = "."
    devices: int = 1
    """Devices that one attempt sees, all of them in one process."""
    timeout_s: float | None = None
    set_up: tuple[str, ...] = ()
    """Shell commands before the suite, in each attempt."""
    tear_down: tuple[str, ...] = ()
    """Shell commands after it."""
    collect: tuple[str, ...] = ()
    """Patterns of files, relative to `cwd`, that are copied into the attempt's folder."""
    result: str = "exit-code"
    """Of a command: `exit-code`, `junit:FILE`, or `tap` on its standard output."""
    base: Overlay = field(default_factory=Overlay)
    axes: Mapping[str, Mapping[str, Overlay]] = field(default_factory=dict)

    def make_reference(self, name: str) -> SuiteRef:
        """Return the suite's reference: its name, and its file if it is a single one."""
        if self.kind is SuiteKind.COMMAND or len(self.targets) > 1:
            return SuiteRef("", (), name)
        target = parse_suite(self.targets[0])
        path = target.path if self.cwd == "." else f"{self.cwd}/{target.path}"
        return SuiteRef(path, target.parts, name)

    def list_axes(self, given: Mapping[str, Axis]) -> list[Axis]:
        """Return the axes of the configuration; values that options name are a choice among them.

        Raise UsageError for a value that the configuration does not have.
        """
        return [self._choose_axis(name, given.get(name)) for name in self.axes]

    def _choose_axis(self, name: str, given: Axis | None) -> Axis:
        known = self.axes[name]
        if given is None:
            return Axis(name, tuple(parse_value(value) for value in known))
        for value in given.values:
            if str(value) not in known:
                raise UsageError(
                    f"axis {name!r} has no value {str(value)!r}: "
                    f"the configuration has {', '.join(known)}"
                )
        return given

    def lay_over(self, cell: Cell) -> Overlay:
        """Return what is laid over the suite in a cell."""
        overlay = self.base
        for name, value in cell.axes:
            overlay = overlay.add(self.axes.get(name, {}).get(str(value), Overlay()))
        return overlay


def setup_to_dict(setup: SuiteSetup) -> dict[str, Any]:
    """Return a set-up as stored: JSON values only."""
    return asdict(setup)


def setup_from_dict(stored: Mapping[str, Any]) -> SuiteSetup:
    """Return the set-up that `setup_to_dict` wrote."""
    lists = ("targets", "set_up", "tear_down", "collect")
    axes = {
        name: {value: _read_overlay(one) for value, one in values.items()}
        for name, values in stored["axes"].items()
    }
    return SuiteSetup(
        **{
            **stored,
            **{name: tuple(stored[name]) for name in lists},
            "kind": SuiteKind(stored["kind"]),
            "base": _read_overlay(stored["base"]),
            "axes": axes,
        }
    )


def _read_overlay(stored: Mapping[str, Any]) -> Overlay:
    return Overlay(dict(stored["env"]), tuple(stored["args"]), tuple(stored["patches"]))

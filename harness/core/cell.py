"""Axes and cells: what a run varies, and one combination of it."""

import itertools
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from harness.core.errors import UsageError

Value = str | int

ENV_PREFIX = "env:"
#: Of a configured suite: the devices that the one process of an attempt sees.
DEVICES_AXIS = "devices"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Axis:
    """One varied factor and its values, in the order given. An axis named `env:NAME` sets NAME."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One value per axis, in axis order. Hashable; `key` is its canonical text."""

    axes: tuple[tuple[str, Value], ...]

    @property
    def key(self) -> str:
        """Canonical JSON: equal cells have equal keys whatever the axis order."""
        return _canonical(self.axes)

    @property
    def label(self) -> str:
        """Short text for people: `ascending · fa3 · tp 2 · page_size 4`."""
        plain = {"order", "backend"}
        return " · ".join(str(v) if k in plain else f"{k} {v}" for k, v in self.axes)

    def as_dict(self) -> dict[str, Value]:
        """The axes as the contract's JSON object."""
        return dict(self.axes)

    def get(self, name: str, default: Value | None = None) -> Value | None:
        """The value on one axis."""
        return dict(self.axes).get(name, default)

    @property
    def tp(self) -> int:
        """The tensor-parallel size: how many ranks an attempt of this cell has."""
        return int(self.get("tp", 1) or 1)

    @property
    def devices(self) -> int:
        """How many devices an attempt takes: one a rank, or what its one process sees."""
        return int(self.get(DEVICES_AXIS, self.tp) or 1)

    def get_environment(self) -> dict[str, str]:
        """Environment variables that this cell sets."""
        return {
            name.removeprefix(ENV_PREFIX): str(value)
            for name, value in self.axes
            if name.startswith(ENV_PREFIX)
        }


@lru_cache(maxsize=4096)
def _canonical(axes: tuple[tuple[str, Value], ...]) -> str:
    return json.dumps(dict(axes), sort_keys=True, separators=(",", ":"))


def read_cell_dict(axes: dict[str, Value]) -> Cell:
    """Inverse of `Cell.as_dict`."""
    return Cell(tuple(axes.items()))


@lru_cache(maxsize=4096)
def parse_cell_key(key: str) -> Cell:
    """Return the cell that a stored key names. Inverse of `Cell.key`."""
    return read_cell_dict(json.loads(key))


def cross(axes: Sequence[Axis]) -> list[Cell]:
    """Every combination of the axes' values; the first axis varies slowest."""
    names = [axis.name for axis in axes]
    return [
        Cell(tuple(zip(names, values, strict=True)))
        for values in itertools.product(*(axis.values for axis in axes))
    ]


def parse_value(text: str) -> Value:
    """Whole numbers become int, so that `tp` 2 is a number in JSON; all else stays text."""
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else text


def parse_axis(text: str, *, option: str = "--axis", prefix: str = "") -> Axis:
    """Read `NAME=V1,V2`. Raises UsageError for a missing name, no values or a repeated value."""
    name, equals, listed = text.partition("=")
    if not equals or not _NAME.fullmatch(name):
        example = "CUDA_LAUNCH_BLOCKING=0,1" if option == "--env" else "page_size=1,4"
        raise UsageError(f"{option} {text!r}: write NAME=VALUE[,VALUE...], as in {example}")
    return make_axis(prefix + name, listed.split(","), option=option)


def make_axis(name: str, texts: Iterable[str], *, option: str) -> Axis:
    """Build an axis from raw texts. Raises UsageError for an empty or a repeated value."""
    values = tuple(parse_value(text.strip()) for text in texts)
    if not values or "" in values:
        raise UsageError(f"{option}: an empty value for axis {name!r}; remove the stray comma")
    repeated = sorted({str(v) for v in values if values.count(v) > 1})
    if repeated:
        raise UsageError(f"{option}: {', '.join(repeated)} stands twice on axis {name!r}")
    return Axis(name, values)


def check_distinct(axes: Sequence[Axis]) -> None:
    """Raises UsageError where two options make the same axis."""
    names = [axis.name for axis in axes]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"axis {name!r} is given twice; give all its values in one option")

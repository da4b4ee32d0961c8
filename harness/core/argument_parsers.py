"""Parsers of engine arguments: each reads one value and says in words what it takes. Pure.

A value comes from a suite (any literal) or from a cell (a whole number or a text), so that every
parser also reads the text of what it takes.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")
Name = TypeVar("Name", bound=StrEnum)

_TRUTH = {"0": False, "1": True, "false": False, "true": True}


@dataclass(frozen=True, slots=True)
class Parser(Generic[T]):
    """How one kind of argument is read. `parse` raises ValueError for any other value."""

    parse: Callable[[object], T]
    wanted: str
    """What is taken, to follow "give"."""
    choices: tuple[str, ...] = ()
    """Every value that is taken, if they are names."""


def parse_whole(low: int | None = None, zero: str = "") -> Parser[int]:
    """Parse a whole number, at least `low`. `zero`: what 0 means, if it means something special."""

    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError
        number = int(value)
        if low is not None and number < low:
            raise ValueError
        return number

    wanted = "a whole number" if low is None else f"a whole number from {low}"
    return Parser(parse, f"{wanted} (0: {zero})" if zero else wanted)


def parse_number(
    above: float | None = None, low: float | None = None, zero: str = ""
) -> Parser[float]:
    """Parse a finite number greater than `above`, at least `low`."""

    def parse(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        parsed = float(value)
        too_small = (above is not None and parsed <= above) or (low is not None and parsed < low)
        if too_small or not math.isfinite(parsed):
            raise ValueError
        return parsed

    wanted = "a number" + (f" above {above:g}" if above is not None else "")
    wanted += f" from {low:g}" if low is not None else ""
    return Parser(parse, f"{wanted} (0: {zero})" if zero else wanted)


def parse_truth() -> Parser[bool]:
    """Parse true or false; 1 and 0 are taken too."""

    def parse(value: object) -> bool:
        if isinstance(value, bool):
            return value
        text = str(value).lower()
        if text not in _TRUTH:
            raise ValueError
        return _TRUTH[text]

    return Parser(parse, "true or false")


def parse_text(wanted: str) -> Parser[str]:
    """Parse a text that is not empty."""

    def parse(value: object) -> str:
        if not isinstance(value, str) or not value:
            raise ValueError
        return value

    return Parser(parse, wanted)


def parse_optional_text(wanted: str) -> Parser[str | None]:
    """Parse a text, or None for none."""
    given = parse_text(wanted)
    return Parser(lambda value: None if value is None else given.parse(value), wanted)


def parse_name(*names: str) -> Parser[str]:
    """Parse one of some names."""

    def parse(value: object) -> str:
        if value not in names:
            raise ValueError
        return str(value)

    return Parser(parse, f"one of {', '.join(names)}", names)


def parse_member(names: type[Name]) -> Parser[Name]:
    """Parse the name of an enum's member."""
    known = tuple(member.value for member in names)
    return Parser(lambda value: names(str(value)), f"one of {', '.join(known)}", known)


def parse_batch_sizes() -> Parser[tuple[int, ...]]:
    """Parse batch sizes into ascending order: a list, one number, or a text such as 1:2:4."""
    size = parse_whole(low=1)

    def parse(value: object) -> tuple[int, ...]:
        if isinstance(value, int | str):
            value = re.split("[:,]", str(value))
        if not isinstance(value, list | tuple) or not value:
            raise ValueError
        return tuple(sorted({size.parse(one) for one in value}))

    return Parser(parse, "batch sizes from 1, as in [1, 2, 4] or 1:2:4")

"""How an option is declared: once, on the field that holds its value.

The command's signature, its help, the stored form and the refusals beside `--resume` are derived
from these declarations.
"""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any

_KEY = "option"


@dataclass(frozen=True, slots=True)
class Option:
    """One option of the command line. Without `flags` it is the command's argument."""

    flags: tuple[str, ...]
    help: str
    group: str
    metavar: str | None = None
    listed: bool = False
    """The text is a list, split at its commas."""
    beside_resume: bool = False
    """May be given beside `--resume`, because it does not change what is measured."""

    @property
    def name(self) -> str:
        """How messages call it."""
        return self.flags[0] if self.flags else self.metavar or ""


@dataclass(frozen=True, slots=True)
class Declared:
    """An option with the field that it fills."""

    field: str
    type: Any
    default: Any
    option: Option

    def read(self, value: Any) -> Any:
        """Return the field's value for what the command line gave."""
        if self.option.listed:
            return tuple(part.strip() for part in value.split(",")) if value is not None else ()
        return tuple(value or ()) if isinstance(self.default, tuple) else value


def declare(default: Any, *flags: str, help: str, group: str, **more: Any) -> Any:
    """Return a dataclass field that is filled by an option."""
    option = Option(flags, help, group, **more)
    return field(default=default, metadata={_KEY: option})


def list_declared(options: type) -> Iterator[Declared]:
    """Yield the options that a dataclass declares, in the order of its fields."""
    for one in fields(options):
        if _KEY in one.metadata:
            yield Declared(one.name, one.type, one.default, one.metadata[_KEY])


def restore(options: type, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return a dataclass's arguments from their stored form; what it does not know is left out.

    JSON has no tuples, and an older run may lack an option, which then has its default.
    """
    return {
        one.name: _as_declared(one, stored[one.name])
        for one in fields(options)
        if one.name in stored
    }


def _as_declared(one: Field[Any], value: Any) -> Any:
    is_tuple = one.default is not MISSING and isinstance(one.default, tuple)
    return tuple(value) if is_tuple else value

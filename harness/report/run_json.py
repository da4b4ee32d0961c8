"""`run.json`: the typed report written as the contract's `harness.run/1`, and read back.

A field of `analysis.report_model` is a key of the object. Keys that follow from others (`schema`,
`attempts`, `rate`, `precluded`, `order`, `graphs`) are written for readers and not read back.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from harness.analysis.report_model import CellRate, Report
from harness.core.cell import Cell, read_cell_dict

SCHEMA = "harness.run/1"

T = TypeVar("T")


def write_run_json(report: Report) -> dict[str, Any]:
    """Return the report as JSON values."""
    return {"schema": SCHEMA, **_write(report)}


def read_run_json(run: Mapping[str, Any]) -> Report:
    """Return the report of an object in which `run_schema.find_problems` found nothing.

    Unknown keys are ignored, and keys that older versions did not write take their defaults.
    """
    return _read(Report, run)


def _write(value: Any) -> Any:
    if isinstance(value, Cell):
        return value.as_dict()
    if is_dataclass(value):
        written = {one.name: _write(getattr(value, one.name)) for one in fields(value)}
        return written | (_derive(value) if isinstance(value, CellRate) else {})
    if isinstance(value, tuple | list):
        return [_write(one) for one in value]
    if isinstance(value, dict):
        return {key: _write(one) for key, one in value.items()}
    return value.value if isinstance(value, Enum) else value


def _derive(cell: CellRate) -> dict[str, Any]:
    return {
        "attempts": cell.attempts,
        "precluded": cell.precluded,
        "rate": cell.rate,
        "order": _write(cell.order),
        "graphs": cell.capture.graphs,
    }


def _read(kind: type[T], value: Mapping[str, Any]) -> T:
    if kind is CellRate:
        # Until 2026-11 a capture held neither its order nor its graphs.
        seen = {**value["order"], "graphs": value["graphs"]}
        value = {**value, "capture": {**seen, **value["capture"]}}
    known = {name: hint for name, hint in _get_hints(cast("Any", kind)).items() if name in value}
    return kind(**{name: _read_value(hint, value[name]) for name, hint in known.items()})


@cache
def _get_hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _read_value(hint: Any, value: Any) -> Any:
    """Return a JSON value as the type that a field is declared with."""
    if isinstance(hint, UnionType):
        inner = [one for one in get_args(hint) if one is not NoneType]
        return value if value is None or len(inner) > 1 else _read_value(inner[0], value)
    if get_origin(hint) is tuple:
        element = get_args(hint)[0]
        return tuple(_read_value(element, one) for one in value)
    if get_origin(hint) is dict:
        element = get_args(hint)[1]
        return {key: _read_value(element, one) for key, one in value.items()}
    if hint is Cell:
        return read_cell_dict(value)
    if is_dataclass(hint):
        return _read(cast("type[Any]", hint), value)
    return hint(value) if isinstance(hint, type) and issubclass(hint, Enum) else value

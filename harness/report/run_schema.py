"""Whether an object is a `run.json`: its schema, and what a schema cannot say. Pure.

A run under test writes into the folder that its `run.json` comes from, so readers that act on one
check it here first.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

from harness.core.statuses import RunStatus, VerdictOutcome

#: The largest `run.json` that is read at all.
MAX_BYTES = 5_000_000

_MOST_TOLD = 50
_DEEPEST = 64
_LARGEST = 1 << 63
_EPSILON = 1e-9

#: The wording per keyword of the schema; the others are named as they stand there.
_WORDS = {
    "type": "must be of type {}",
    "enum": "must be one of {}",
    "const": "must be {}",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "maxProperties": "must have at most {} keys",
    "pattern": "must match {}",
}


def find_problems(run: object) -> list[str]:
    """What is wrong with an object as `json.loads` gave it; empty for a valid `harness.run/1`.

    Up to 50 findings, each naming the place, safe to show: what stands there is not repeated. The
    counts are looked at only once every type is right. Never raises.
    """
    for find in (_uncountable, _check_against_schema):
        if found := _first(find(run)):
            return found
    assert isinstance(run, Mapping)
    return _first(_inconsistent(run))


def _first(found: Iterator[str]) -> list[str]:
    told = [text for _, text in zip(range(_MOST_TOLD + 1), found, strict=False)]
    return [*told[:_MOST_TOLD], "and more"] if len(told) > _MOST_TOLD else told


def _uncountable(run: object) -> Iterator[str]:
    """Numbers that are none, and depths that no reader can follow: JSON allows both."""
    level: list[object] = [run]
    for _ in range(_DEEPEST):
        for one in level:
            if isinstance(one, float) and not math.isfinite(one):
                yield "a number is not finite"
            elif isinstance(one, int) and abs(one) > _LARGEST:
                yield "a number has more than 63 bits"
        level = [inner for one in level for inner in _check_inside(one)]
        if not level:
            return
    yield f"it is nested deeper than {_DEEPEST}"


def _check_inside(one: object) -> list[object]:
    if isinstance(one, dict):
        return list(one.values())
    return one if isinstance(one, list) else []


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    text = resources.files("harness.report").joinpath("run.schema.json").read_text("utf-8")
    return Draft202012Validator(json.loads(text))


def _check_against_schema(run: object) -> Iterator[str]:
    for error in _validator().iter_errors(run):
        where = "".join(map(_step, error.absolute_path)).removeprefix(".")
        yield f"{where or 'it'} {_word_problem(error)}"


def _step(part: str | int) -> str:
    """A step into the object; a key that could be anything but a name is not repeated."""
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", part) else ".?"


def _word_problem(error: Any) -> str:
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"lacks {', '.join(missing)}"
    if "propertyNames" in error.absolute_schema_path:
        return "has a key that is too long"
    wanted = error.validator_value
    shown = ", ".join(map(str, wanted)) if isinstance(wanted, list) else str(wanted)
    return _WORDS.get(error.validator, f"breaks {error.validator} {{}}").format(shown)


def _inconsistent(run: Mapping[str, Any]) -> Iterator[str]:
    """Counts that cannot be those of one run."""
    names = [cell["name"] for cell in run["cells"]]
    if len(set(names)) < len(names):
        yield "two cells have one name"
    # Attempts after one that was killed in flight count, and are outside of the interval.
    whole = run["run"]["status"] == RunStatus.COMPLETE and all(
        cell["attempts"] >= cell["planned"] for cell in run["cells"]
    )
    for i, cell in enumerate(run["cells"]):
        yield from (f"cells[{i}]: {text}" for text in _check_cell(cell, whole))
    for i, contrast in enumerate(run["contrasts"]):
        yield from (f"contrasts[{i}]: {text}" for text in _check_contrast(contrast))
    yield from _check_verdict(run)


def _check_cell(cell: Mapping[str, Any], whole: bool) -> Iterator[str]:
    failed, valid = cell["failed"], cell["passed"] + cell["failed"]
    if cell["attempts"] != valid + cell["infra"]:
        yield "attempts is not passed + failed + infra"
    rate = failed / valid if valid else None
    if not _same(rate, cell["rate"]):
        yield "rate is not failed / (passed + failed)"
    if sum(cell["kinds"].values()) > failed:
        yield "more kinds than failures"
    bounds = [cell["interval"], cell["worst_case"], *cell["kind_intervals"].values()]
    bounds += [test["interval"] for test in cell["tests"]]
    if any(one and one["low"] > one["high"] for one in bounds):
        yield "an interval ends before it begins"
    mine = cell["interval"]
    if whole and mine and rate is not None and not _holds(mine["low"], rate, mine["high"]):
        yield "its interval does not hold its rate"


def _same(expected: float | None, found: float | None) -> bool:
    if expected is None or found is None:
        return expected is found
    return abs(expected - found) <= _EPSILON


def _holds(low: float, value: float, high: float) -> bool:
    return low - _EPSILON <= value <= high + _EPSILON


def _check_contrast(contrast: Mapping[str, Any]) -> Iterator[str]:
    counts, interval = contrast["counts"], contrast["interval"]
    if counts and (counts[0] > counts[1] or counts[2] > counts[3]):
        yield "more failures than attempts"
    if interval and interval[0] > interval[1]:
        yield "its interval ends before it begins"


def _check_verdict(run: Mapping[str, Any]) -> Iterator[str]:
    outcome, gate = run["verdict"]["outcome"], run["gate"]
    failed = sum(cell["failed"] for cell in run["cells"])
    if outcome == VerdictOutcome.PASSED and failed and (gate is None or gate["state"] != "holds"):
        yield f"the verdict is passed with {failed} failures and no gate that holds"
    if outcome == VerdictOutcome.PASSED and any(
        not c["passed"] + c["failed"] for c in run["cells"]
    ):
        yield "the verdict is passed with a cell without a valid attempt"
    if outcome == VerdictOutcome.PASSED and not run["cells"]:
        yield "the verdict is passed without a cell"
    if outcome == VerdictOutcome.FAILED and not failed:
        yield "the verdict is failed without a failure"

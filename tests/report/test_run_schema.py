"""What a `run.json` must be before anyone acts on it."""

import copy
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import harness.report
from harness.report.run_schema import MAX_BYTES, find_problems
from tests.report.runs import ASCENDING, DESCENDING, SHA, make_report, write_object

SCHEMA = json.loads((Path(harness.report.__file__).parent / "run.schema.json").read_text())
RUNS = {
    "clean": make_report({}),
    "failed": make_report({ASCENDING: 2, DESCENDING: 10}),
    "infrastructure": make_report({ASCENDING: 3}, infra={ASCENDING: 2, DESCENDING: 1}),
    "nothing valid": make_report({}, 5, infra={ASCENDING: 5}),
    "interrupted": make_report({DESCENDING: 9}, 20, run_status="interrupted", missing=4),
    "one seed": make_report({ASCENDING: 4}, fixed_seed=True),
    "gate holds": make_report({ASCENDING: 1}, 120, gate=0.05),
    "gate broken": make_report({ASCENDING: 20}, 60, gate=0.05),
    "until decided": make_report({}, 60, gate=0.02, until_decided=True),
    "no tests": make_report({ASCENDING: 1, DESCENDING: 1}, 1, kind="no-tests"),
}


def document(name: str = "failed") -> Any:
    return write_object(RUNS[name])


FAILED = document()


@pytest.mark.parametrize("name", RUNS)
def test_what_the_harness_writes_is_valid(name: str) -> None:
    assert find_problems(document(name)) == []


def keys_of(schema: dict[str, Any]) -> set[str]:
    found = set(schema.get("required", ()))
    for inner in [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]:
        found |= keys_of(inner)
    return found | (keys_of(schema["items"]) if "items" in schema else set())


def test_every_key_of_the_schema_is_documented() -> None:
    documented = (Path(__file__).parents[2] / "docs/reference/run-json.md").read_text()
    assert [key for key in sorted(keys_of(SCHEMA)) if f'"{key}"' not in documented] == []


def test_every_key_that_is_written_is_in_the_schema() -> None:
    run = SCHEMA["$defs"]["run"]
    assert set(FAILED) == set(SCHEMA["properties"])
    # What files from before 2026-11-25 do not have.
    assert set(FAILED) - set(SCHEMA["required"]) == {"warmup", "audit", "earlier"}
    assert set(run["required"]) <= set(FAILED["run"]) == set(run["properties"])
    parts = {"cell": "cells", "contrast": "contrasts", "signature": "signatures"}
    for name, written in [(name, FAILED[key]) for name, key in parts.items()]:
        part = SCHEMA["$defs"][name]
        assert set(part["required"]) <= set(written[0]) == set(part["properties"])


def test_unknown_keys_are_ignored() -> None:
    run = document()
    run["new"] = run["run"]["new"] = run["cells"][0]["new"] = {"any": ["thing", None, 1.5]}
    assert find_problems(run) == []


def at(run: Any, *path: Any) -> Any:
    for part in path:
        run = run[part]
    return run


def set_at(*path: Any, to: Any) -> Callable[[Any], None]:
    return lambda run: at(run, *path[:-1]).__setitem__(path[-1], to)


def drop(*path: Any) -> Callable[[Any], None]:
    return lambda run: at(run, *path[:-1]).pop(path[-1])


def deep(levels: int) -> Any:
    made: Any = 0
    for _ in range(levels):
        made = [made]
    return made


VIOLATIONS: dict[str, Callable[[Any], None]] = {
    "schema must be harness.run/1": set_at("schema", to="harness.run/2"),
    "run.sha must match": set_at("run", "sha", to=SHA[:39]),
    "run.sha must match ": set_at("run", "sha", to=SHA + "\n"),
    "run.sha must be of type string, null": set_at("run", "sha", to=5),
    "run.status must be one of": set_at("run", "status", to="fine"),
    "run.device must be one of": set_at("run", "device", to="tpu"),
    "run.in_ci must be of type boolean": set_at("run", "in_ci", to=1),
    "run.repeats must be at least 1": set_at("run", "repeats", to=0),
    "run.ci must be of type object, null": set_at("run", "ci", to="x"),
    "run.ci lacks repository, run_id, run_attempt": set_at("run", "ci", to={"provider": "github"}),
    "run.id must have at most 200 characters": set_at("run", "id", to="x" * 201),
    "run lacks ci": drop("run", "ci"),
    "it lacks cells": drop("cells"),
    "cells must be of type array": set_at("cells", to={}),
    "cells[0] must be of type object": set_at("cells", 0, to=None),
    "cells[1].failed must be at least 0": set_at("cells", 1, "failed", to=-1),
    "cells[1].failed must be at most 1000000000": set_at("cells", 1, "failed", to=10**10),
    "cells[1].failed must be of type integer": set_at("cells", 1, "failed", to=True),
    "cells[1].failed must be of type integer ": set_at("cells", 1, "failed", to=1.5),
    "cells[0].kinds.nan must be at least 0": set_at("cells", 0, "kinds", to={"nan": -1}),
    "cells[0].kinds has a key that is too long": set_at("cells", 0, "kinds", to={"k" * 201: 1}),
    "cells[0].rate must be at most 1": set_at("cells", 0, "rate", to=1.5),
    "cells[0].interval.low must be at least 0": set_at("cells", 0, "interval", "low", to=-0.1),
    "cells[0].notes must be of type array": set_at("cells", 0, "notes", to="note"),
    "cells[0].axes.a must be of type string, integer": set_at("cells", 0, "axes", to={"a": []}),
    "cells[0]: attempts is not passed + failed + infra": set_at("cells", 0, "passed", to=47),
    "cells[0]: rate is not failed / (passed + failed)": set_at("cells", 0, "rate", to=0.03),
    "cells[0]: rate is not failed / (passed + failed) ": set_at("cells", 0, "rate", to=None),
    "cells[0]: its interval does not hold": set_at("cells", 0, "interval", "high", to=0.03),
    "cells[0]: an interval ends before it begins": set_at("cells", 0, "interval", "low", to=1),
    "cells[0]: more kinds than failures": set_at("cells", 0, "kinds", "nan", to=1),
    "two cells have one name": set_at("cells", 0, "name", to="descending"),
    "contrasts[0].finding must be one of": set_at("contrasts", 0, "finding", to="same"),
    "contrasts[0].counts must have at least 4 items": set_at("contrasts", 0, "counts", to=[1]),
    "contrasts[0]: more failures than attempts": set_at("contrasts", 0, "counts", 0, to=51),
    "contrasts[0]: its interval ends": set_at("contrasts", 0, "interval", to=[0.3, 0.1]),
    "verdict.outcome must be one of": set_at("verdict", "outcome", to="green"),
    "verdict.sentences must be of type array": set_at("verdict", "sentences", to="passed"),
    "verdict.sentences[0] must have at most": set_at("verdict", "sentences", 0, to="x" * 100_001),
    "the verdict is passed with 12 failures": set_at("verdict", "outcome", to="passed"),
    "a number is not finite": set_at("run", "fingerprint", "x", to=math.nan),
    "a number is not finite ": set_at("cells", 0, "rate", to=math.inf),
    "a number has more than 63 bits": set_at("run", "fingerprint", "x", to=10**5000),
    "it is nested deeper than 64": set_at("run", "fingerprint", "x", to=deep(100_000)),
}


@pytest.mark.parametrize("told", VIOLATIONS)
def test_each_violation_is_named(told: str) -> None:
    run = document()
    VIOLATIONS[told](run)
    assert any(text.startswith(told.strip()) for text in find_problems(run)), find_problems(run)


def test_a_pass_is_not_believed_without_valid_attempts() -> None:
    run = document("clean")
    run["cells"] = run["contrasts"] = []
    assert find_problems(run) == ["the verdict is passed without a cell"]
    run = document("nothing valid")
    run["verdict"]["outcome"] = "passed"
    assert find_problems(run) == ["the verdict is passed with a cell without a valid attempt"]
    run = document("clean")
    run["verdict"]["outcome"] = "failed"
    assert find_problems(run) == ["the verdict is failed without a failure"]


@pytest.mark.parametrize("value", [None, True, 0, "x", [], {}, [[]], b"x", object()])
def test_what_is_no_run_at_all_is_said(value: object) -> None:
    assert find_problems(value)


def test_findings_are_bounded_and_repeat_nothing_hostile() -> None:
    run = document()
    run["cells"] = [{"kinds": {"<b>|@all": -1}}, *[{"<!-- @everyone": 1}] * 200]
    run["run"]["sha"] = "<script>"
    found = find_problems(run)
    assert len(found) == 51
    assert found[-1] == "and more"
    assert not any("<" in text or "@" in text for text in found)
    assert "cells[0].kinds.? must be at least 0" in found


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


def places(run: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = run.items() if isinstance(run, dict) else enumerate(run)
    return [
        found
        for key, value in inside
        for found in [
            (*path, key),
            *(places(value, (*path, key)) if isinstance(value, dict | list) else ()),
        ]
    ]


PLACES = places(FAILED)


@given(JSON)
def test_any_json_is_answered(value: Any) -> None:
    assert find_problems(value)


@given(st.data())
def test_any_value_in_any_place_is_answered(data: st.DataObject) -> None:
    run = copy.deepcopy(FAILED)
    set_at(*data.draw(st.sampled_from(PLACES)), to=data.draw(JSON))(run)
    assert all(isinstance(text, str) for text in find_problems(run))


def test_a_large_run_is_checked_in_seconds() -> None:
    run = document()
    test = {"id": "a.py::test", "passed": 50, "failed": 0, "skipped": 0, "precluded": 0,
            "recovered": 0, "kinds": {}, "interval": None}  # fmt: skip
    run["cells"][0]["tests"] = [test] * (MAX_BYTES // 8 // len(json.dumps(test)))
    begun = time.perf_counter()
    assert find_problems(run) == []
    assert time.perf_counter() - begun < 10

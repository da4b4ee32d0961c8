"""Recording cannot fail, whatever an attempt says."""

import ast
import csv
import io
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rich.console import Console

import harness
from harness.analysis.build_report import report_run
from harness.core.cell import Cell
from harness.core.events import MOST_COUNT
from harness.core.fold import fold
from harness.core.plan import Plan, PlannedCell, plan_to_dict
from harness.core.records import AttemptIdentity, Lease, RunRecord
from harness.core.result import AttemptResult, Ending
from harness.driver.export import make_export
from harness.report.formats.registry import FORMATS
from harness.report.markdown import write_markdown
from harness.report.run_json import write_run_json
from harness.report.run_schema import find_problems
from harness.report.terminal import print_report
from harness.store.cleaning import clean
from harness.store.open import open_in_memory

SENDERS, READERS = ("rank", "engine", "hook"), ("core",)


def find_wire_words() -> tuple[list[str], list[str]]:
    """Return names and keys of events, read from the source: a new one cannot be forgotten."""
    names: set[str] = set()
    keys: set[str] = set()
    for folder in (*SENDERS, *READERS):
        for path in (Path(harness.__file__).parent / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if folder in READERS:
                    keys |= find_read_keys(node)
                elif isinstance(node, ast.Call) and get_name(node.func) == "emit":
                    names |= find_texts(node.args[:1])
                    keys |= {keyword.arg for keyword in node.keywords if keyword.arg}
    return sorted(names), sorted(keys)


def find_read_keys(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Subscript):
        return find_texts([node.slice])
    if isinstance(node, ast.Call):
        name = get_name(node.func)
        return find_texts(node.args) if name == "get" or name.startswith("read_") else set()
    return set()


def find_texts(nodes: Sequence[ast.AST]) -> set[str]:
    return {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def get_name(node: ast.AST) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))


CELL = Cell((("order", "ascending"), ("tp", 1)))
PLAN = Plan((PlannedCell("s.py", CELL),), 1, 7, False, False)

#: Any text at all, lone surrogates and NUL included.
TEXT = st.text(st.characters(), max_size=40)
NUMBER = st.one_of(st.integers(), st.floats(), st.booleans())
JSON = st.recursive(
    st.one_of(st.none(), TEXT, NUMBER),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=12,
)
#: Every event that the ranks send, and every key that is sent or read.
NAMES, KEYS = find_wire_words()
EXCEPTION = st.fixed_dictionaries({"types": st.lists(TEXT, max_size=3), "message": TEXT})
REPORT = st.fixed_dictionaries(
    {"event": st.just("report"), "id": TEXT, "when": st.sampled_from(["setup", "call"]),
     "outcome": st.sampled_from(["passed", "failed", "rerun", "skipped"]), "exc": EXCEPTION}
)  # fmt: skip
EVENT = st.one_of(
    REPORT,
    st.builds(
        lambda name, keys: {**keys, "event": name},
        st.sampled_from(NAMES),
        st.dictionaries(st.sampled_from(KEYS), JSON, max_size=8),
    ),
)


EVENTS = st.lists(st.tuples(st.integers(0, 1), EVENT), max_size=12)


def as_wire(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event as it comes off the wire: what JSON has no word for is gone."""
    read: dict[str, Any] = json.loads(json.dumps(event))
    return read


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EVENTS)
def test_whatever_the_wire_says_is_stored_and_every_report_of_it_is_text(
    events: list[tuple[int, dict[str, Any]]],
) -> None:
    result = fold([(rank, as_wire(event)) for rank, event in events], Ending(((0, 1, None),)))
    lease = Lease(("cpu:0",), "host", "z", "spawn", 1.0, 2.0, "folder", {"0": "\udcff"})
    with open_in_memory() as store:
        store.add_run(RunRecord("r", 1.0, 7, "cpu", plan_to_dict(PLAN), {}, {}))
        store.add_attempt(AttemptIdentity("r.0", "r", 0, 0, "s.py", CELL.key, 0, 7), result, lease)
        judged = report_run(store.run("r"), store.attempts("r"), store.test_counts("r"))
    document = write_run_json(judged.report)
    json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    write_markdown(judged.report, 65_536).encode()
    console = Console(file=io.StringIO(), width=80)
    print_report(judged.report, console)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(EVENTS)
def test_whatever_the_wire_says_every_format_can_write_and_its_readers_can_read(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[int, dict[str, Any]]]
) -> None:
    folder = tmp_path_factory.mktemp("formats")
    result = fold([(rank, as_wire(event)) for rank, event in events], Ending(((0, 1, None),)))
    lease = Lease(("cpu:0",), "host", "z", "spawn", 1.0, 2.0, "folder", {"0": "\udcff"})
    with open_in_memory() as store:
        store.add_run(RunRecord("r", 1.0, 7, "cpu", plan_to_dict(PLAN), {}, {}))
        store.add_attempt(AttemptIdentity("r.0", "r", 0, 0, "s.py", CELL.key, 0, 7), result, lease)
        record, rows = store.run("r"), store.attempts("r")
        judged = report_run(record, rows, store.test_counts("r"))
        export = make_export(store, record, rows, judged.report)
        for name, one in FORMATS.items():
            (folder / name).mkdir()
            one.write(export, folder / name if one.is_folder else folder / name / "file")
    assert find_problems(json.loads((folder / "json/file").read_text())) == []
    ElementTree.parse(folder / "junit/file")
    json.loads((folder / "ctrf/file").read_text())
    for text in ("markdown/file", "html/file"):
        (folder / text).read_text(encoding="utf-8")
    with (folder / "csv/outcomes.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len({clean(test.id) for test in result.tests})
    assert pyarrow.parquet.read_table(folder / "parquet/attempts.parquet").num_rows == 1


def make_values(kind: Any) -> st.SearchStrategy[Any]:
    """Return values of a record's field, or of a record: any that its type allows."""
    arguments = get_args(kind)
    if get_origin(kind) in (UnionType, Union):
        return st.one_of(*map(make_values, arguments))
    if get_origin(kind) is tuple and arguments[-1] is not Ellipsis:
        return st.tuples(*map(make_values, arguments))
    if get_origin(kind) in (tuple, list, frozenset):
        return st.lists(make_values(arguments[0]), max_size=2).map(get_origin(kind))
    if get_origin(kind) in (dict, Mapping):
        return st.dictionaries(*map(make_values, arguments), max_size=2)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        return st.builds(kind, **{one.name: make_values(hints[one.name]) for one in fields(kind)})
    return PLAIN[kind] if kind in PLAIN else st.sampled_from(list(kind))


#: Any value of each plain type; what is no plain type and no record is an enum.
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(0, MOST_COUNT),
    float: st.floats(0, 1e9),
    bool: st.booleans(),
    type(None): st.none(),
    Any: JSON,
}


@settings(
    max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
)
@given(make_values(AttemptResult), make_values(Lease))
def test_whatever_any_field_of_a_record_holds_is_stored_and_reported(
    result: AttemptResult, lease: Lease
) -> None:
    with open_in_memory() as store:
        store.add_run(RunRecord("r", 1.0, 7, "cpu", plan_to_dict(PLAN), {}, {}))
        store.add_attempt(AttemptIdentity("r.0", "r", 0, 0, "s.py", CELL.key, 0, 7), result, lease)
        judged = report_run(store.run("r"), store.attempts("r"), store.test_counts("r"))
    assert find_problems(write_run_json(judged.report)) == []
    write_markdown(judged.report, 65_536).encode()


@pytest.mark.parametrize("amount", [-1.0, 1e17, float("nan"), True, "5"])
def test_a_time_or_size_that_cannot_be_is_none(amount: object) -> None:
    report = {"event": "report", "id": "a", "when": "call", "outcome": "passed"}
    events: list[dict[str, Any]] = [
        {**report, "seconds": amount},
        {"event": "captured", "pool_bytes": amount},
        {"event": "replays", "counts": {"g": amount}},
    ]
    started: list[dict[str, Any]] = [
        {"event": "collected", "tests": ["a"]},
        {"event": "test_start", "id": "a"},
    ]
    result = fold([(0, event) for event in started + events], Ending(((0, 0, None),)))
    assert [test.seconds for test in result.tests] == [0.0]
    assert result.capture.pool_bytes == 0 and not result.replays


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("a\udcffb", "a\\udcffb"),
        ("a\0b", "a\\x00b"),
        (10**30, (1 << 63) - 1),
        (float("nan"), None),
        ({"\ud800": [float("inf"), True]}, {"\\ud800": [None, True]}),
        (Path("x"), "x"),
    ],
)
def test_a_value_is_stored_as_near_as_can_be(value: object, stored: object) -> None:
    assert clean(value) == stored


def test_nesting_ends_somewhere() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    json.dumps(clean(deep))

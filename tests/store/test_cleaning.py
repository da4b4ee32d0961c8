"""Recording cannot fail, whatever an attempt says."""

import csv
import io
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from harness.analysis.build_report import report_run
from harness.core.cell import Cell
from harness.core.fold import fold
from harness.core.plan import Plan, PlannedCell, plan_to_dict
from harness.core.records import AttemptIdentity, Lease, RunRecord
from harness.core.result import Ending
from harness.driver.export import make_export
from harness.report.formats.registry import FORMATS
from harness.report.markdown import write_markdown
from harness.report.run_json import write_run_json
from harness.report.run_schema import find_problems
from harness.report.terminal import print_report
from harness.store.cleaning import clean
from harness.store.open import open_in_memory

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
#: Every key that some event of docs/reference/wire.md has, with a value of any type.
KEYS = (
    "tests", "id", "when", "outcome", "exc", "types", "message", "frames", "seconds", "duration",
    "text", "name", "role", "bs", "free_before", "free_after", "pool_bytes", "peak_bytes",
    "addresses", "requested", "observed", "graphs", "counts", "eager", "exitstatus",
    "inside_seconds", "reran", "rerun", "pid", "v", "backend", "test", "sizes", "class_setup",
    "subtest", "role_backends", "total_bytes", "threads", "modules", "parts", "by", "bytes", "node",
    "size", "signal", "to", "entries", "error", "order", "t", "rank", "kv", "weights", "changed",
    "packages", "draft_weights", "consequence", "file", "line", "function", "finding", "resolved",
)  # fmt: skip
NAMES = (
    "hello", "collected", "collect_error", "test_start", "report", "test_end", "phase", "note",
    "capture_plan", "capture", "captured", "replays", "finish", "follower_error", "peak", "audit",
    "audited", "error", "footprint", "imported", "imports", "leaving", "refusal", "signal_sent",
    "thread_error", "unended", "unfit",
)  # fmt: skip
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

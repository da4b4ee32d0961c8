"""What begins the start-up hook in an attempt, and what is taken from its files."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from harness.attempt.observing import (
    START_FOLDER,
    collect_observed,
    describe_parts,
    make_hook_environment,
    parse_observed,
)
from harness.attempt.spec import AttemptSpec

MakeSpec = Callable[..., AttemptSpec]
FOLDER = Path("/somewhere/hook")


def test_the_start_folder_is_first_on_the_path_and_once(make_spec: MakeSpec) -> None:
    path = f"/one:{START_FOLDER}::/two"
    made = make_hook_environment(make_spec("x.py"), FOLDER, {"PYTHONPATH": path})
    assert made["PYTHONPATH"] == f"{START_FOLDER}:/one:/two"
    assert made["HARNESS_HOOK"] == "report"
    assert "HARNESS_OVERLAID" not in made
    assert (START_FOLDER / "sitecustomize.py").is_file()


def test_no_part_is_no_hook(make_spec: MakeSpec) -> None:
    assert make_hook_environment(make_spec("x.py", hook=()), FOLDER, {"PYTHONPATH": "/one"}) == {}


def test_parts_of_the_environment_are_added(make_spec: MakeSpec) -> None:
    spec = make_spec("x.py", hook=("report", "vllm-order:ascending"))
    made = make_hook_environment(spec, FOLDER, {"HARNESS_HOOK": "audit,report"})
    assert made["HARNESS_HOOK"] == "report,vllm-order:ascending,audit"


def test_an_overlay_takes_the_order_of_the_cell_and_says_that_it_was_read(
    make_spec: MakeSpec,
) -> None:
    spec = make_spec("x.py", hook=("order",), axes={"order": "shuffled", "tp": 1})
    made = make_hook_environment(spec, FOLDER, {"HARNESS_OVERLAID": "size"})
    assert made["HARNESS_HOOK"] == "order:shuffled"
    assert made["HARNESS_OVERLAID"] == "size,order"


def test_parts_are_told_unless_there_is_the_report_alone() -> None:
    assert [*describe_parts({"HARNESS_HOOK": "report"})] == [*describe_parts({})] == []
    (line,) = describe_parts({"HARNESS_HOOK": "report,audit"})
    assert json.loads(line)["parts"] == ["report", "audit"]


def write_lines(path: Path, *events: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(event) + "\n" for event in events))


def test_lines_of_all_processes_come_by_time_and_are_kept(tmp_path: Path) -> None:
    folder, kept = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    write_lines(folder / "9.jsonl", {"event": "hook_a", "t": 1}, {"event": "hook_c", "t": 3})
    write_lines(folder / "10.jsonl", {"event": "hook_b", "t": 2, "rank": 1})
    found = [parse_observed(line) for line in collect_observed(folder, kept)]
    assert [(one[0], one[1]["event"]) for one in found if one] == [
        (0, "hook_a"), (1, "hook_b"), (0, "hook_c"),
    ]  # fmt: skip
    assert {path.name for path in kept.iterdir()} == {"9.jsonl", "10.jsonl"}
    assert not folder.exists()


def test_what_is_no_plain_file_is_left(tmp_path: Path) -> None:
    folder, secret = tmp_path / "in", tmp_path / "secret"
    folder.mkdir()
    write_lines(secret, {"event": "hook_a", "t": 1})
    (folder / "1.jsonl").symlink_to(secret)
    os.mkfifo(folder / "2.jsonl")
    (folder / "3.jsonl").mkdir()
    assert [*collect_observed(folder, tmp_path / "out")] == []


def test_a_process_cannot_forge_events_of_pytest() -> None:
    assert parse_observed(b'{"event": "finish", "exitstatus": 0}') is None
    assert parse_observed(b'{"event": "hook_capture", "rank": "x"}') is not None


@given(st.binary(max_size=300))
def test_any_line_is_parsed(line: bytes) -> None:
    parse_observed(line)
    parse_observed(b'{"event": "hook_capture", "pid": ' + line + b"}")

"""A run that goes on, seen from its store and its event files, and drawn."""

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from harness.attempt.launch import DEVICES_FILE
from harness.core.plan import plan_from_dict
from harness.core.records import AttemptRow, DriverIdentity, RunRecord
from harness.core.statuses import AttemptStatus, RunStatus
from harness.driver.commands import watch
from harness.driver.commands.watch import read_devices, read_events, read_live_run
from harness.driver.live_state import LiveState, estimate_seconds_left, read_position
from harness.driver.ownership import own_run
from harness.report.live import LiveAttempt, describe_event, describe_live, render_live
from harness.store.group import StoreGroup
from tests.report.runs import ASCENDING, make_counts

COUNTS = make_counts({ASCENDING: 2}, 10, missing=6, run_status="running")
HOSTILE = "\x1b[2J[bold]x[/nonsense]"


class StoredRun:
    """A store that holds one run."""

    def __init__(self, folder: Path, status: RunStatus = RunStatus.RUNNING) -> None:
        driver = DriverIdentity("host", 7, str(folder))
        self.record: RunRecord = replace(COUNTS.run, status=status, driver=driver)
        self.rows: list[AttemptRow] = [
            replace(row, folder=str(folder / row.id), started=float(row.position))
            for row in COUNTS.attempts
        ]

    def runs(self) -> list[RunRecord]:
        return [self.record]

    def run(self, _name: str) -> RunRecord:
        return self.record

    def attempts(self, _run_id: str, *, warmup: bool = False) -> list[AttemptRow]:
        return [row for row in self.rows if row.warmup is warmup]


def write_events(folder: Path, *events: dict[str, object]) -> Path:
    folder.mkdir(parents=True)
    path = folder / "events.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in events) + '{"cut": ')
    return path


def test_cells_and_attempts_under_way_come_from_the_store_and_the_event_files(
    tmp_path: Path,
) -> None:
    write_events(
        tmp_path / "r.14",
        {"event": "hello", "t": 100.0, "rank": 0},
        {
            "event": "capture",
            "t": 101.0,
            "rank": 0,
            "role": "verify",
            "bs": 4,
            "pool_bytes": 1 << 20,
        },
        {"event": "test_start", "t": 102.0, "rank": 1, "id": "a.py::not_rank_0"},
    )  # fmt: skip
    write_events(tmp_path / "r.0", {"event": "phase", "t": 1.0, "rank": 0, "name": "run"})
    (tmp_path / "r.14" / DEVICES_FILE).write_text('["cpu:0", "cpu:1"]')
    now = (tmp_path / "r.14" / "events.jsonl").stat().st_mtime + 5
    stored = StoredRun(tmp_path)
    with own_run(stored.record, tmp_path):
        run = read_live_run(stored, "r", now)  # type: ignore[arg-type]
    assert (run.ended, run.planned, run.failed) == (14, 20, 2)
    (under_way,) = run.attempts
    assert under_way.id == "r.14"
    assert under_way.doing == "captured verify bs 4, pool 1.0 MiB"
    assert under_way.devices == ("cpu:0", "cpu:1")
    assert len(run.failures) == 2


def test_a_run_that_has_ended_shows_no_attempt_under_way(tmp_path: Path) -> None:
    write_events(tmp_path / "r.14", {"event": "phase", "t": 1.0, "rank": 0, "name": "run"})
    stored = StoredRun(tmp_path, RunStatus.COMPLETE)
    assert read_live_run(stored, "r", 1e9).attempts == ()  # type: ignore[arg-type]


def test_a_run_whose_driver_is_gone_is_shown_as_such_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_events(tmp_path / "r.14", {"event": "phase", "t": 1.0, "rank": 0, "name": "run"})
    group = contextlib.nullcontext(StoreGroup([StoredRun(tmp_path)]))  # type: ignore[list-item]
    monkeypatch.setattr(watch, "open_known_stores", lambda _location: group)
    assert watch.watch_run("latest", None) == 0
    assert "driver is gone" in capsys.readouterr().out
    assert read_live_run(StoredRun(tmp_path), "r", 2.0).attempts == ()  # type: ignore[arg-type]


def test_watching_writes_nothing(tmp_path: Path) -> None:
    path = write_events(tmp_path / "r.14", {"event": "phase", "t": 1.0, "rank": 0, "name": "run"})
    before = path.read_bytes(), path.stat().st_mtime_ns
    read_live_run(StoredRun(tmp_path), "r", 2.0)  # type: ignore[arg-type]
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


@pytest.mark.parametrize("text", ["", "{", '{"a": 1}', "7"])
def test_devices_are_unknown_if_their_file_is_damaged(tmp_path: Path, text: str) -> None:
    assert read_devices(tmp_path) == ()
    (tmp_path / DEVICES_FILE).write_text(text)
    assert read_devices(tmp_path) == ()


def test_cut_and_garbled_lines_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'nt": 1}\n[1]\n\xff\n{"event": "phase", "rank": 0, "name": "run"}\n{"event"')
    assert [event["name"] for event in read_events(path)] == ["run"]


def test_a_log_has_one_line_per_look_until_the_run_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = StoredRun(tmp_path)
    group = contextlib.nullcontext(StoreGroup([stored]))  # type: ignore[list-item]
    monkeypatch.setattr(watch, "open_known_stores", lambda _location: group)

    def end(_seconds: float) -> None:
        stored.record = replace(stored.record, status=RunStatus.COMPLETE)

    monkeypatch.setattr("time.sleep", end)
    with own_run(stored.record, tmp_path):
        assert watch.watch_run("latest", None) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("run r: 14/20 attempts, 2 failed")
    assert last.endswith("complete")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"event": "phase", "name": "capture"}, "capture"),
        ({"event": "test_start", "id": "a.py::T::t"}, "T::t"),
        ({"event": "capture_plan", "role": "draft", "resolved": "gate"}, "capturing draft, gate"),
        ({"event": "hello"}, None),
    ],
)
def test_what_rank_0_does_is_said_in_a_few_words(event: dict[str, str], words: str | None) -> None:
    assert describe_event(event) == words


def test_a_replacement_counts_for_the_cell_of_what_it_replaces() -> None:
    state = LiveState("r", plan_from_dict(COUNTS.run.plan))
    state.act("r.3r1", 5.0, "run")
    state.end("r.3r1", AttemptStatus.PASSED, None)
    run = state.show("running", 9.0, None)
    assert (run.ended, run.attempts) == (1, ())
    assert read_position("r.3r1") == 3


def test_time_left_is_said_once_there_is_a_pace() -> None:
    assert estimate_seconds_left([], 10.0, 5) is None
    assert estimate_seconds_left([0.0, 4.0], 10.0, 4) == 20.0


def test_hostile_text_is_drawn_as_text() -> None:
    state = LiveState("r", plan_from_dict(COUNTS.run.plan))
    state.end("r.0", AttemptStatus.FAILED, HOSTILE)
    run = replace(
        state.show("running", 1.0, 90.0), attempts=(LiveAttempt("r.1", HOSTILE, 3.0, HOSTILE),)
    )
    out = io.StringIO()
    Console(file=out, width=120).print(render_live(run))
    text = out.getvalue()
    assert text.count("[bold]x[/nonsense]") == 3
    assert "\x1b" not in text
    assert "about 1 min 30 s left" in describe_live(run)

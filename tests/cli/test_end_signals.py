"""However a run is ended, finished attempts are kept and no process is left: real processes."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from .conftest import COMMAND, OUTCOMES, clean_environ

#: From the first signal until nothing of the run lives. The contract says 5; this machine is slow.
ALL_GONE_S = 5.0


class Started:
    """A run under way in a folder of its own, with an attempt that would take for ever."""

    def __init__(self, folder: Path, temporary: Path, **more: Any) -> None:
        self.folder = folder
        suites = [str(OUTCOMES / "flakes.py"), str(OUTCOMES / "hangs.py::test_sleeps")]
        options = ["--repeats", "3", "--order", "ascending", "--tp", "1", "--json", "run.json"]
        self._given: dict[str, Any] = {
            "cwd": folder,
            "env": {**clean_environ(), "TMPDIR": str(temporary)},
            "start_new_session": True,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.DEVNULL,
            **more,
        }
        self.process = subprocess.Popen([*COMMAND, "run", *suites, *options], **self._given)

    def rerun(self) -> None:
        """Make the attempt that was in flight again, and wait until its test has begun."""
        attempt = self.query("SELECT id FROM attempt WHERE status = 'censored'")
        self.process = subprocess.Popen([*COMMAND, "rerun", attempt], **self._given)
        again = f".harness/runs/*/{attempt}.rerun/events.jsonl"
        deadline = time.monotonic() + 90
        while not any("test_start" in path.read_text() for path in self.folder.glob(again)):
            assert time.monotonic() < deadline and self.process.poll() is None
            time.sleep(0.1)

    def wait_for_attempts(self, count: int) -> list[psutil.Process]:
        """Wait until so many are stored. Return every process of the run."""
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            if self.query("SELECT count(*) FROM attempt", default=0) >= count:
                return self.list_processes()
            time.sleep(0.1)
        raise TimeoutError(f"no {count} attempts in {self.folder}")

    def list_processes(self) -> list[psutil.Process]:
        """Return every process of the run."""
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def query(self, statement: str, default: Any = None) -> Any:
        """Return the first value that the store has."""
        try:
            with sqlite3.connect(self.folder / ".harness/store.sqlite") as store:
                row = store.execute(statement).fetchone()
        except sqlite3.OperationalError:
            return default  # not made yet
        finally:
            if "store" in locals():
                store.close()
        return row[0] if row else default

    def read_json(self) -> Any:
        """Return the file that `--json` named."""
        return json.loads((self.folder / "run.json").read_text())


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A TMPDIR of the run's own; whichever way it ends, it leaves nothing there."""
    folder = Path(tempfile.mkdtemp(prefix="hs-", dir="/tmp"))
    yield folder
    left = list(folder.iterdir())
    shutil.rmtree(folder)
    assert left == []


@pytest.fixture
def start(tmp_path: Path, temporary: Path) -> Callable[..., Started]:
    # A shell's background job, and all that it starts, would ignore these; so would one of nohup.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    (tmp_path / ".harness").mkdir()

    def call(**more: Any) -> Started:
        return Started(tmp_path, temporary, **more)

    return call


def await_end(processes: list[psutil.Process], since: float) -> float:
    """Wait until no process lives. Return the seconds since the signal."""
    _, alive = psutil.wait_procs(processes, timeout=60)
    left = [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]
    assert not left
    return time.monotonic() - since


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_an_end_signal_is_what_ctrl_c_is_for_a_run_and_for_a_rerun(
    start: Callable[..., Started], number: signal.Signals
) -> None:
    run = start()
    processes = run.wait_for_attempts(1)
    since = time.monotonic()
    run.process.send_signal(number)
    out, _ = run.process.communicate(timeout=60)
    took = await_end(processes, since)
    assert run.process.returncode == 130
    assert run.query("SELECT status FROM run") == "interrupted"
    assert run.query("SELECT ended_by FROM run") == number.name
    assert run.read_json()["verdict"]["outcome"] == "interrupted"
    for words in (
        b"hangs.py",
        b"interrupted with",
        b"harness run --resume",
        b"killed in flight; whatever they would have been",
    ):
        assert words in out
    assert took < 2 * ALL_GONE_S  # two cores that others use too
    if number is signal.SIGHUP:
        return
    run.rerun()
    processes, since = run.list_processes(), time.monotonic()
    run.process.send_signal(number)
    out, _ = run.process.communicate(timeout=60)
    assert await_end(processes, since) < 2 * ALL_GONE_S
    assert run.process.returncode == 130
    assert number.name.encode() in out


def test_a_cancelled_workflow_leaves_no_process_and_a_stored_end(
    start: Callable[..., Started],
) -> None:
    run = start()
    processes = run.wait_for_attempts(1)
    since = time.monotonic()
    os.killpg(run.process.pid, signal.SIGINT)
    time.sleep(7.5)
    if run.process.poll() is None:
        os.killpg(run.process.pid, signal.SIGTERM)
        time.sleep(2.5)
    if run.process.poll() is None:
        os.killpg(run.process.pid, signal.SIGKILL)
    run.process.communicate(timeout=60)
    await_end(processes, since)
    assert run.query("SELECT status FROM run") == "interrupted"
    assert run.read_json()["run"]["status"] == "interrupted"


def test_a_reader_that_went_away_ends_the_run(start: Callable[..., Started]) -> None:
    run = start()
    processes = run.wait_for_attempts(1)
    since = time.monotonic()
    assert run.process.stdout is not None
    run.process.stdout.close()
    assert run.process.wait(timeout=60) == 130
    await_end(processes, since)
    assert run.query("SELECT ended_by FROM run") == "closed output pipe"
    assert run.read_json()["run"]["status"] == "interrupted"


def test_a_signal_while_ray_is_starting_leaves_nothing(start: Callable[..., Started]) -> None:
    run = start()
    deadline = time.monotonic() + 60
    while len(processes := run.list_processes()) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    since = time.monotonic()
    run.process.send_signal(signal.SIGINT)
    run.process.communicate(timeout=60)
    await_end(processes, since)
    assert run.process.returncode == 130
    assert run.query("SELECT count(*) FROM run WHERE status = 'running'", default=0) == 0


def test_a_stopped_part_does_not_keep_the_prompt(start: Callable[..., Started]) -> None:
    run = start()
    processes = run.wait_for_attempts(1)
    stopped = [p for p in processes if p.name() in ("raylet", "gcs_server")]
    for process in stopped:
        process.suspend()
    since = time.monotonic()
    run.process.send_signal(signal.SIGINT)
    run.process.communicate(timeout=60)
    took = await_end(processes, since)
    assert stopped
    assert run.query("SELECT status FROM run") == "interrupted"
    assert took < 2 * ALL_GONE_S

"""One part breaks while a run goes on: real Ray, real signals."""

import os
import signal
import tempfile
from pathlib import Path

import psutil
import pytest

from harness.cluster import leftovers
from tests.cluster.running import RunningHarness

SUITE = """
import time

def test_short() -> None:
    time.sleep(0.3)
"""
TIMEOUT_S = 5
ARGUMENTS = (
    *("test_short.py", "--tp", 1, "--slots", 2, "--order", "ascending"),
    *("--timeout", TIMEOUT_S),
)


def start(folder: Path, *more: object) -> RunningHarness:
    (folder / "test_short.py").write_text(SUITE)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p no:hypothesispytest\n")
    return RunningHarness(folder, [*ARGUMENTS, *more])


def test_killed_actors_are_started_again_and_no_slot_is_lost(tmp_path: Path) -> None:
    with start(tmp_path, "--repeats", 16, "--replace-infra", 3) as run:
        run.await_attempts(3)
        for actor in run.find("actor"):
            actor.kill()
        cell = run.finish()["cells"][0]
        assert cell["passed"] == 16
        assert "quarantined" not in run.err.read_text()
        run.await_nothing_left()


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("actor", "device actor lost"),
        ("gcs_server", "gcs_server"),
        ("raylet", "raylet"),
        ("broker", "broker"),
    ],
)
def test_a_stopped_part_is_noticed_named_and_gone_around(
    tmp_path: Path, part: str, name: str
) -> None:
    with start(tmp_path, "--repeats", 5000) as run:
        run.await_attempts(3)
        run.find(part)[0].send_signal(signal.SIGSTOP)
        run.await_words(name, TIMEOUT_S + 30)
        run.await_attempts(run.count_attempts() + 6)
        run.interrupt()
        run.await_nothing_left()


@pytest.mark.parametrize("part", ["actor", "keeper", "gcs_server", "raylet", "broker"])
def test_ctrl_c_returns_the_prompt_whatever_is_stopped(tmp_path: Path, part: str) -> None:
    with start(tmp_path, "--repeats", 500) as run:
        run.await_attempts(2)
        run.await_part(part).send_signal(signal.SIGSTOP)
        assert run.interrupt() < 5.0
        assert run.process.returncode == 130
        assert run.read_json()["run"]["status"] == "interrupted"
        run.await_nothing_left()


@pytest.mark.parametrize("part", ["driver", "broker"])
def test_nothing_outlives_a_killed(tmp_path: Path, part: str) -> None:
    with start(tmp_path, "--repeats", 16) as run:
        run.await_attempts(2)
        run.find_all()
        if part == "driver":
            os.kill(run.process.pid, signal.SIGKILL)
            run.process.wait()
        else:
            run.find("broker")[0].kill()
            assert run.finish()["cells"][0]["passed"] >= 10
        run.await_nothing_left()


def test_what_a_killed_driver_and_broker_leave_is_removed_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start(tmp_path, "--repeats", 500) as run:
        run.await_attempts(2)
        for process in (*run.find("broker"), psutil.Process(run.process.pid)):
            process.suspend()
        for process in (*run.find("broker"), psutil.Process(run.process.pid)):
            process.kill()
        run.process.wait()
        assert list(run.temporary.glob("harness-ray-*"))
        assert list(run.temporary.glob("harness-tmp-*"))
        monkeypatch.setattr(tempfile, "tempdir", str(run.temporary))
        leftovers.remove_folder(leftovers.make_folder())  # as the next run begins
        run.await_nothing_left()


def test_a_folder_that_cannot_be_written_is_named_before_the_first_attempt(tmp_path: Path) -> None:
    (tmp_path / ".harness").mkdir()
    (tmp_path / ".harness" / "runs").touch()
    with start(tmp_path, "--repeats", 10) as run:
        assert run.process.wait(60) == 6
        words = run.err.read_text()
        assert str(tmp_path / ".harness" / "runs") in words
        assert "Traceback" not in words
        run.await_nothing_left()


def test_a_folder_that_is_lost_during_a_run_leaves_the_rest_owed_and_not_infrastructure(
    tmp_path: Path,
) -> None:
    with start(tmp_path, "--repeats", 60) as run:
        run.await_attempts(3)
        runs = tmp_path / ".harness" / "runs"
        runs.rename(tmp_path / "away")
        runs.touch()
        run.process.wait(60)
        read = run.read_json()
        assert read["run"]["status"] == "incomplete"
        assert read["cells"][0]["infra"] <= 2, "those in flight"
        words = run.err.read_text()
        assert "ray::" not in words
        assert "\x1b" not in words
        run.await_nothing_left()

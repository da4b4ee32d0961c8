"""Attempts behind a boundary that the kernel keeps: nothing survives, nothing protected changes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.attempt.sandbox import Sandbox
from harness.attempt.settings import SupervisorSettings
from harness.attempt.spec import AttemptRecord, AttemptSpec, Isolation
from harness.attempt.supervise import Supervisor

Run = Callable[..., AttemptRecord]

SHOWS = """
import os, subprocess, sys, time
from pathlib import Path
FOLDER = Path(os.environ["PROTECTED"])

def say(text):
    os.write(int(os.environ["HARNESS_LOG_FD"]), f"{text}\\n".encode())

def test_processes():
    say(f"PIDS={sorted(int(p) for p in os.listdir('/proc') if p.isdigit())} SELF={os.getpid()}")

def test_writes():
    try:
        (FOLDER / "result").write_text("forged")
    except OSError as error:
        say(f"WRITE={error.strerror}")
    command = ["mount", "-o", "remount,rw", str(FOLDER)]
    done = subprocess.run(command, capture_output=True)
    try:
        (FOLDER / "result").write_text("forged")
    except OSError as error:
        say(f"REMOUNT={error.strerror}")
    assert (FOLDER / "result").read_text() == "true"

def test_loopback():
    import socket
    server = socket.create_server(("127.0.0.1", 0))
    socket.create_connection(server.getsockname(), timeout=2).close()
    say(f"INTERFACES={[name for _, name in socket.if_nameindex()]}")

def test_own_tmp():
    import tempfile
    say(f"TMP={sorted(os.listdir('/tmp'))}")
    Path("/tmp/left").write_text("x")
    tempfile.mkdtemp()
    assert Path(os.environ["TMPDIR"]).is_dir() and Path(__file__).exists()

def test_survives():
    code = "import time; time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", code, "survivor-mark"], start_new_session=True, env={})
    say("SURVIVOR")
    time.sleep(float(os.environ.get("WAIT", "0")))
"""


def is_possible() -> bool:
    command = ["unshare", "--pid", "--mount", "--ipc", "--fork", "true"]
    if os.getuid():
        command.insert(1, "--user")
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not is_possible(), reason="the kernel allows no namespaces here")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "protected").mkdir()
    (tmp_path / "protected/result").write_text("true")
    (tmp_path / "suite").mkdir()
    (tmp_path / "suite/pytest.ini").write_text("[pytest]\naddopts = -p no:hypothesispytest\n")
    (tmp_path / "suite/test_shows.py").write_text(SHOWS)
    return tmp_path


@pytest.fixture
def run(folder: Path, make_spec: Callable[..., AttemptSpec], isolation: Isolation) -> Iterator[Run]:
    supervisors: list[Supervisor] = []

    def run_one(
        suite: str, sandbox: dict[str, Any] | None = None, on_event: Any = None, **changes: Any
    ) -> AttemptRecord:
        given = {"choice": "required", "protected": (folder / "protected",), **(sandbox or {})}
        settings = SupervisorSettings(
            python=sys.executable,
            isolation=isolation,
            cwd=folder / "suite",
            preload=("pytest",),
            sandbox=Sandbox(**given),
        )
        supervisors.append(Supervisor(settings))
        env = {"PROTECTED": str(folder / "protected"), **changes.pop("env", {})}
        given = {"cwd": folder / "suite", "isolation": isolation, "env": env, **changes}
        spec = make_spec(suite, **given)
        return supervisors[-1].run(spec, on_event or (lambda *_: None))

    yield run_one
    for supervisor in supervisors:
        supervisor.close()


def find_value(record: AttemptRecord, name: str) -> str:
    log = record.log_tails[0]
    assert f"{name}=" in log, (log, record.error)
    return log.partition(f"{name}=")[2].split("\n")[0]


def find_survivors() -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"survivor-mark" in (process / "cmdline").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def wait_for(is_met: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not is_met() and time.monotonic() < deadline:
        time.sleep(0.02)
    return is_met()


def test_a_rank_sees_its_own_attempts_processes_alone(run: Run) -> None:
    record = run("test_shows.py::test_processes")
    assert record.error is None and record.exits[0].code == 0 and record.unconfined is None
    assert find_value(record, "PIDS") == "[1, 2] SELF=2", "init, and the rank, which is not PID 1"


def test_what_is_protected_cannot_be_written_even_by_root(run: Run, folder: Path) -> None:
    record = run("test_shows.py::test_writes")
    assert find_value(record, "WRITE") == "Read-only file system"
    assert find_value(record, "REMOUNT") == "Read-only file system"
    assert (folder / "protected/result").read_text() == "true"


def test_a_survivor_dies_with_the_attempt_and_is_named_by_the_pid_it_has_outside(run: Run) -> None:
    seen: list[int] = []

    def look() -> None:
        wait_for(lambda: bool(find_survivors()))
        seen.extend(find_survivors())

    def on_event(_: int, event: dict[str, Any]) -> None:
        if event["event"] == "test_start":
            threading.Thread(target=look, daemon=True).start()

    record = run("test_shows.py::test_survives", env={"WAIT": "0.5"}, on_event=on_event)
    assert record.exits[0].code == 0 and len(seen) == 1
    (orphan,) = record.orphans
    assert f"({seen[0]})" in orphan
    assert find_survivors() == []


def test_a_keepers_death_takes_all_that_is_inside_along(run: Run) -> None:
    def kill_keeper() -> None:
        wait_for(lambda: bool(find_survivors()))
        chain = [find_survivors()[0]]
        while chain[-1] != os.getpid():
            stat = Path(f"/proc/{chain[-1]}/stat").read_text()
            chain.append(int(stat.rpartition(")")[2].split()[1]))
        os.kill(chain[-2], signal.SIGKILL)

    def on_event(_: int, event: dict[str, Any]) -> None:
        if event["event"] == "test_start":
            threading.Thread(target=kill_keeper, daemon=True).start()

    record = run("test_shows.py::test_survives", env={"WAIT": "60"}, on_event=on_event)
    assert record.error is not None
    assert wait_for(lambda: not find_survivors())


def test_a_hang_is_ended_with_its_stack_in_the_log(run: Run) -> None:
    record = run("test_shows.py::test_survives", env={"WAIT": "60"}, timeout_s=4.0, grace_s=2.0)
    assert record.timed_out and record.exits[0].signal == "SIGTERM"
    assert "in test_survives" in record.log_tails[0] and find_survivors() == []


def test_ranks_of_an_attempt_share_its_loopback_and_no_other_interface(run: Run) -> None:
    record = run("test_shows.py::test_loopback", sandbox={"parts": ("process", "network")})
    assert find_value(record, "INTERFACES") == "['lo']"


def test_an_attempt_may_have_a_tmp_of_its_own_with_what_it_was_started_with(run: Run) -> None:
    strange = Path("/tmp/harness-test-of-somebody-else")
    strange.touch()
    try:
        record = run("test_shows.py::test_own_tmp", sandbox={"parts": ("process", "tmp")})
        again = run("test_shows.py::test_own_tmp", sandbox={"parts": ("process", "tmp")})
    finally:
        strange.unlink()
    for one in (record, again):
        assert one.exits[0].code == 0, one.log_tails
        assert strange.name not in find_value(one, "TMP") and "left" not in find_value(one, "TMP")
    assert not Path("/tmp/left").exists()


def test_ranks_of_a_gang_meet_inside(run: Run) -> None:
    outcomes = Path(__file__).parent.parent / "outcomes"
    record = run("peers.py::test_waits_for_a_word", tp=2, follower="followers:greets", cwd=outcomes)
    assert {end.rank: end.code for end in record.exits} == {0: 0, 1: 0}, record.log_tails


@pytest.mark.parametrize("choice", ["auto", "required"])
def test_a_boundary_that_cannot_be_put_up_is_said_and_if_required_ends_the_attempt(
    run: Run, choice: str
) -> None:
    elsewhere = Path(f"/proc/{os.getpid()}/fd")  # not in the new /proc
    sandbox = {"choice": choice, "protected": (elsewhere,)}
    record = run("test_shows.py::test_processes", sandbox=sandbox)
    assert record.unconfined is not None and "No such file" in record.unconfined
    assert (record.error is None) == (choice == "auto")
    assert len(record.exits) == (1 if choice == "auto" else 0)

"""The rank package alone: a copy run by path, beside another `harness`, with pytest at most."""

import ast
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

RANK = Path(__file__).parents[2] / "harness" / "rank"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Another checkout's rank folder."""
    folder = tmp_path / "trusted" / "harness" / "rank"
    shutil.copytree(RANK, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A checkout under test, whose modules have the same names as ours."""
    folder = tmp_path / "tested"
    (folder / "harness").mkdir(parents=True)
    (folder / "harness" / "__init__.py").write_text("WHOSE = 'tested'\n")
    (folder / "wire.py").write_text("WHOSE = 'tested'\n")
    (folder / "test_names.py").write_text(
        "import harness, wire\n"
        "def test_names():\n    assert harness.WHOSE == wire.WHOSE == 'tested'\n"
    )
    return folder


def test_nothing_but_the_standard_library_and_pytest_is_imported() -> None:
    allowed = set(sys.stdlib_module_names) | {"pytest", "_pytest"}
    for path in RANK.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.append(node.module)
            assert {name.partition(".")[0] for name in names} <= allowed, path.name


def test_the_entry_by_path_sees_the_tested_checkouts_modules(copy: Path, suite: Path) -> None:
    reader, writer = os.pipe()
    environment = {**os.environ, "HARNESS_EVENTS_FD": str(writer), "RANK": "0"}
    command = [sys.executable, str(copy), "entry", "test_names.py", "-p", "no:hypothesispytest"]
    done = subprocess.run(
        command, cwd=suite, env=environment, pass_fds=[writer], capture_output=True, text=True
    )
    os.close(writer)
    with os.fdopen(reader) as events:
        names = [json.loads(line)["event"] for line in events]
    assert done.returncode == 0, done.stdout + done.stderr
    assert names[0] == "hello" and names[-1] == "finish"


class Supervisor:
    """The other end of a keeper's socket, in a few lines."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.file = sock.makefile("r")

    def send(self, fds: list[int], **message: Any) -> None:
        socket.send_fds(self.sock, [json.dumps(message).encode() + b"\n"], fds)

    def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.file.readline())
        return message


@pytest.fixture
def supervisor(copy: Path, suite: Path) -> Iterator[Supervisor]:
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, str(copy), "keeper", "--fd", str(theirs.fileno())],
        cwd=suite,
        pass_fds=[theirs.fileno()],
    )
    theirs.close()
    ours.settimeout(20)
    made = Supervisor(ours)
    yield made
    made.file.close()
    ours.close()
    assert process.wait(10) == 0


@pytest.mark.parametrize("mode", ["fork", "spawn"])
def test_the_keeper_by_path_speaks_its_protocol(
    supervisor: Supervisor, suite: Path, tmp_path: Path, mode: str
) -> None:
    assert supervisor.receive()["threads"] == 1
    reader, writer = os.pipe()
    rank = {
        "rank": 0,
        "env": {"RANK": "0", "PYTEST_ADDOPTS": "-p no:hypothesispytest"},
        "cwd": str(suite),
        "python": sys.executable,
        "log": 1,
        "confined": False,
        "args": ["test_names.py"],
        "fds": {"HARNESS_EVENTS_FD": [0]},
    }
    log = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    supervisor.send([writer, log], do="start", mode=mode, ranks=[rank], sandbox=None)
    os.close(writer)
    os.close(log)
    started = supervisor.receive()
    exited = supervisor.receive()
    assert started["event"] == "started" and exited["event"] == "exited"
    assert exited["pid"] == started["pids"][0] and exited["code"] == 0, (
        tmp_path / "log"
    ).read_text()
    supervisor.send([], do="sweep", after=0.0)
    assert supervisor.receive() == {"event": "clean"}
    with os.fdopen(reader) as events:
        assert json.loads(events.readlines()[-1])["event"] == "finish"


def test_a_rank_that_cannot_start_says_why_in_its_log(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.receive()
    rank = {
        "rank": 0,
        "env": {},
        "cwd": str(tmp_path / "nowhere"),
        "python": sys.executable,
        "log": 0,
        "confined": False,
        "args": [],
        "fds": {},
    }
    log = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    supervisor.send([log], do="start", mode="spawn", ranks=[rank], sandbox=None)
    os.close(log)
    assert supervisor.receive()["event"] == "started"
    assert supervisor.receive()["code"] == 127
    assert "nowhere" in (tmp_path / "log").read_text()

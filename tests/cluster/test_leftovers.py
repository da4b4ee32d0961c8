"""Processes and folders of a private Ray that outlived their owners."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from harness.cluster import leftovers


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep to folders that no other test or run on this machine looks at."""
    monkeypatch.setattr(leftovers, "_PREFIX", f"hr-{os.getpid()}-")


@pytest.fixture
def tree() -> Iterator[subprocess.Popen[bytes]]:
    """A session leader with a child that left for a session of its own."""
    code = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
        " start_new_session=True)\n"
        "print('up', flush=True)\ntime.sleep(60)\n"
    )
    tree = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
    )
    assert tree.stdout is not None
    tree.stdout.readline()
    with tree:
        yield tree
        leftovers.kill_below(tree.pid)
        tree.kill()


def test_every_process_below_is_ended_stopped_ones_and_other_sessions_too(
    tree: subprocess.Popen[bytes],
) -> None:
    below = leftovers.find_below(tree.pid)
    assert len(below) == 1
    os.kill(below[0].pid, signal.SIGSTOP)
    leftovers.kill_below(tree.pid)
    assert leftovers.find_below(tree.pid) == []


def test_a_folder_whose_owners_live_is_kept() -> None:
    folder = leftovers.make_folder()
    leftovers.note_owners(folder, os.getpid())
    other = leftovers.make_folder()
    assert folder.exists()
    leftovers.remove_folder(folder)
    leftovers.remove_folder(other)


def test_a_killed_driver_and_its_broker_are_cleaned_up_by_the_next(
    tree: subprocess.Popen[bytes],
) -> None:
    stat = leftovers.read_stat(tree.pid)
    assert stat is not None
    dead_driver = replace(stat, pid=os.getpid(), started=stat.started - 1)
    folder = leftovers.make_folder()
    note = [asdict(stat), asdict(dead_driver)]
    (folder / "owners.json").write_text(json.dumps(note))
    other = leftovers.make_folder()
    assert tree.wait(5) == -signal.SIGKILL
    assert not folder.exists()
    leftovers.remove_folder(other)


def test_a_stopped_server_of_ray_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "_SERVERS", ("sleep",))
    sleep = subprocess.Popen(["sleep", "60"])
    try:
        assert leftovers.find_stopped_servers(os.getpid()) == set()
        os.kill(sleep.pid, signal.SIGSTOP)
        time.sleep(0.1)
        assert leftovers.find_stopped_servers(os.getpid()) == {f"sleep ({sleep.pid})"}
    finally:
        sleep.kill()
        sleep.wait()


def test_a_long_temporary_folder_is_not_used_for_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/" + "x" * 80)
    folder = leftovers.make_folder()
    assert folder.parent == Path("/tmp")
    leftovers.remove_folder(folder)

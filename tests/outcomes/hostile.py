"""What a test may do to its own process and folders."""

import os
import resource
import shutil
import signal
import tempfile
from pathlib import Path

START = Path.cwd()


def test_changes_what_processes_inherit() -> None:
    os.chdir("/")
    os.umask(0o777)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    os.environ["HARNESS_CELL"] = os.environ["PATH"] = "{"


def test_finds_all_as_it_should_be() -> None:
    assert Path.cwd() == START
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 64
    mask = os.umask(0)
    os.umask(mask)
    assert mask != 0o777
    with tempfile.NamedTemporaryFile() as file:
        assert Path(file.name).is_relative_to(os.environ["TMPDIR"])


def test_deletes_its_temporary_folder() -> None:
    shutil.rmtree(os.environ["TMPDIR"])


def test_deletes_the_attempts_folder() -> None:
    shutil.rmtree(os.environ["ATTEMPT_FOLDER"])


def test_stops_itself() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def test_closes_every_descriptor() -> None:
    os.closerange(0, 1024)

"""Temporary folders: kept while their owner lives, removed by whoever comes by once it is gone."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import closing, suppress
from pathlib import Path

import pytest

from harness.attempt.scratch import Scratch, remove_abandoned, remove_tree


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "t"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def start_owner(temporary: Path) -> tuple[subprocess.Popen[str], Path]:
    code = (
        "import sys, time; from harness.attempt.scratch import Scratch;"
        "print(Scratch().path, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    return owner, Path(owner.stdout.readline().strip())


def test_a_folder_is_kept_while_its_owner_lives_and_removed_after_a_kill(temporary: Path) -> None:
    owner, folder = start_owner(temporary)
    with owner:
        (folder / "kernel").write_text("x")
        remove_abandoned()
        assert folder.is_dir()
        owner.send_signal(signal.SIGKILL)
    remove_abandoned()
    assert list(temporary.iterdir()) == []


def test_a_closed_folder_is_gone_and_other_names_are_nobodys_business(temporary: Path) -> None:
    other = temporary / "harness-of-somebody"
    other.mkdir()
    with closing(Scratch()) as scratch:
        remove_abandoned()
        assert scratch.path.is_dir()
    remove_abandoned()
    assert list(temporary.iterdir()) == [other]


def test_a_link_in_the_place_of_a_folder_is_not_followed(temporary: Path) -> None:
    precious = temporary / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    with closing(Scratch()) as scratch:
        (scratch.path / "out").symlink_to(precious)
        (scratch.path.parent / f"{scratch.path.name}x").symlink_to(precious)
        remove_abandoned()
    assert (precious / "file").read_text() == "x"


def test_a_folder_without_rights_is_removed_all_the_same(temporary: Path) -> None:
    tree = temporary / "tree"
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/b/file").write_text("x")
    (tree / "link").symlink_to(temporary)
    (tree / "a").chmod(0)
    tree.chmod(0)
    if os.geteuid() == 0:  # whom no right keeps out: as somebody else, below a folder of theirs
        for path in (temporary, tree, tree / "a", tree / "a/b", tree / "a/b/file"):
            os.chown(path, 65534, 65534)
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            os.chdir(temporary)
            if os.geteuid() == 0:
                os.setuid(65534)
            remove_tree(Path("tree"))
        os._exit(0)
    os.waitpid(child, 0)
    assert not tree.exists()

"""What an attempt needs of its node, and how its files come back from another."""

import sys
from pathlib import Path

import pytest

from harness.attempt.spec import AttemptSpec
from harness.cluster.files import read_files, write_files
from harness.cluster.place import find_place_fault


def make_spec(folder: Path, cwd: Path | None = None) -> AttemptSpec:
    return AttemptSpec(
        run_id="r",
        attempt_id="r.1",
        nodeids=("test_x.py::test_a",),
        folder=folder / "runs" / "r.1",
        python=sys.executable,
        cwd=cwd or folder,
    )


def test_a_node_with_the_suite_and_a_folder_can_run_it(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").touch()
    assert find_place_fault(make_spec(tmp_path)) is None
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_missing_suite_is_named(tmp_path: Path) -> None:
    assert "test_x.py" in (find_place_fault(make_spec(tmp_path)) or "")


def test_a_missing_working_folder_is_named(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert str(gone) in (find_place_fault(make_spec(tmp_path, cwd=gone)) or "")


def test_a_file_in_the_place_of_the_runs_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").touch()
    (tmp_path / "runs").touch()
    assert str(tmp_path / "runs") in (find_place_fault(make_spec(tmp_path)) or "")


def test_files_come_back_whole_in_their_folders(tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    (there / "core").mkdir(parents=True)
    (there / "rank0.log").write_bytes(b"a\x00b")
    (there / "core" / "stack").write_bytes(b"c")
    write_files(here, read_files(there))
    assert (here / "rank0.log").read_bytes() == b"a\x00b"
    assert (here / "core" / "stack").read_bytes() == b"c"


def test_what_is_too_large_to_send_says_so_and_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(100))
    (tmp_path / "small").write_bytes(b"x")
    (tmp_path / "link").symlink_to("/etc/passwd")
    files = read_files(tmp_path, limit=10)
    assert set(files) == {"big.left-out", "small"}


def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="leads out"):
        write_files(tmp_path / "a", {"../b": b""})
    assert not (tmp_path / "b").exists()

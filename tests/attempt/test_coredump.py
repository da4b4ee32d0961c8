"""Core dumps of a rerun: read if there is something to read, and said why not otherwise."""

from pathlib import Path

import pytest

from harness.attempt import coredump
from harness.attempt.coredump import KERNEL, add_faulting_kernel
from harness.attempt.evidence import EvidenceFolder
from harness.core.evidence import FOLDER, EvidenceIndex

NAMES_A_KERNEL = "#0  0x01 in scatter<<<(4,1,1),(32,1,1)>>> ()"


@pytest.fixture
def cores(tmp_path: Path) -> Path:
    folder = tmp_path / "cores"
    folder.mkdir()
    return folder


def use_tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, says: str) -> None:
    """Put a program that prints this in cuda-gdb's place."""
    tool = tmp_path / "bin" / "cuda-gdb"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\ncat <<'END'\n{says}\nEND\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")


def read_core(tmp_path: Path, cores: Path) -> EvidenceIndex:
    folder = EvidenceFolder(tmp_path)
    add_faulting_kernel(folder, cores)
    return folder.close()


def test_the_faulting_kernel_is_named(
    tmp_path: Path, cores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_tool(monkeypatch, tmp_path, NAMES_A_KERNEL)
    (cores / "core-7").write_bytes(b"elf")
    index = read_core(tmp_path, cores)
    assert [item.name for item in index.items] == [KERNEL] and not index.not_done
    first = (tmp_path / FOLDER / KERNEL).read_text().splitlines()[0]
    assert first == "kernel: scatter, grid (4,1,1), block (32,1,1)"


@pytest.mark.parametrize(
    ("core", "says", "why"),
    [
        (None, NAMES_A_KERNEL, "no core dump was written"),
        (b"", NAMES_A_KERNEL, "is empty: the disk may be full"),
        (b"elf", "no CUDA kernels are present", "names no kernel"),
    ],
)
def test_a_core_that_says_nothing_is_listed_as_not_done(
    tmp_path: Path, cores: Path, monkeypatch: pytest.MonkeyPatch, core: bytes | None, says: str,
    why: str,
) -> None:  # fmt: skip
    use_tool(monkeypatch, tmp_path, says)
    if core is not None:
        (cores / "core-7").write_bytes(core)
    (missing,) = read_core(tmp_path, cores).not_done
    assert why in missing.why


def test_a_machine_without_cuda_gdb_says_so(
    tmp_path: Path, cores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coredump, "find_cuda_tool", lambda name: None)  # noqa: ARG005
    (cores / "core-7").write_bytes(b"elf")
    (missing,) = read_core(tmp_path, cores).not_done
    assert "cuda-gdb" in missing.why


def test_a_link_in_the_place_of_a_core_is_not_read(
    tmp_path: Path, cores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_tool(monkeypatch, tmp_path, NAMES_A_KERNEL)
    (tmp_path / "secret").write_bytes(b"x")
    (cores / "core-7").symlink_to(tmp_path / "secret")
    assert not read_core(tmp_path, cores).items

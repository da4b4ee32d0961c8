"""CUDA core dumps, asked for by variables and read by cuda-gdb: they name the kernel of a fault."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from harness.attempt.cuda_tools import find_cuda_tool
from harness.attempt.evidence import EvidenceFolder
from harness.core.kernel_fault import describe_fault

KERNEL = "kernel.txt"
_WHAT = "the kernel that a CUDA core dump blames, by cuda-gdb"
_GDB_SECONDS = 60.0
_MOST_CORES = 4
_SKIPPED = (
    "skip_nonrelocated_elf_images,skip_global_memory,skip_shared_memory,skip_local_memory,"
    "skip_constbank_memory"
)


def make_coredump_environment(folder: Path) -> dict[str, str]:
    """Return what makes the CUDA driver write a small core dump into the folder at a fault."""
    return {
        "CUDA_ENABLE_COREDUMP_ON_EXCEPTION": "1",
        "CUDA_COREDUMP_FILE": f"{folder}/core-%p",
        "CUDA_COREDUMP_GENERATION_FLAGS": _SKIPPED,
    }


def add_faulting_kernel(evidence: EvidenceFolder, cores: Path) -> None:
    """Read the core dumps in the folder, and add what they say to the evidence."""
    found = sorted(
        path for path in cores.glob("core-*") if path.is_file() and not path.is_symlink()
    )
    found = found[:_MOST_CORES]
    tool = find_cuda_tool("cuda-gdb")
    if not found:
        evidence.miss(
            _WHAT,
            "no core dump was written: no kernel faulted, or the driver could not write to "
            f"{cores}",
        )
    elif tool is None:
        evidence.miss(_WHAT, "cuda-gdb is neither on PATH nor where CUDA is installed")
    else:
        lines = [line for core in found for line in _read_core(evidence, tool, core)]
        if lines:
            evidence.add(KERNEL, _WHAT, "\n".join(lines).encode())


def _read_core(evidence: EvidenceFolder, tool: str, core: Path) -> Iterator[str]:
    """Yield what one core says, first its summary and then cuda-gdb's own words."""
    size = core.stat().st_size
    if not size:
        evidence.miss(_WHAT, f"{core.name} is empty: the disk may be full")
        return
    try:
        done = subprocess.run(
            [tool, "-batch", "-ex", f"target cudacore {core}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_GDB_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        evidence.miss(_WHAT, f"cuda-gdb on {core.name} ({size >> 20} MiB): {error}")
        return
    text = done.stdout.decode("utf-8", "replace")
    summary = describe_fault(text)
    if not summary:
        last = (text.strip().splitlines() or ["nothing"])[-1][:200]
        evidence.miss(_WHAT, f"{core.name} names no kernel; cuda-gdb said: {last}")
        return
    if not any(line.startswith("kernel: ") for line in summary):
        evidence.miss(_WHAT, f"cuda-gdb broke off at {core.name} before it named the kernel")
    yield from summary
    yield f"({core.name}, {size >> 20} MiB; cuda-gdb said:)"
    yield text

"""memcheck of compute-sanitizer around an attempt's ranks: it names the kernel and the access."""

from pathlib import Path

from harness.attempt.cuda_tools import find_cuda_tool
from harness.attempt.evidence import EvidenceFolder
from harness.core.memcheck import count_errors, describe_errors

TOOL = "compute-sanitizer"
MEMCHECK = "memcheck.txt"
_WHAT = "what compute-sanitizer's memcheck reports"
_REPORT = "memcheck-"
_MOST_REPORTS = 16
_MOST_BYTES = 1 << 20


def make_memcheck_command(folder: Path) -> list[str]:
    """Return the words that go before an interpreter's own. Raise FileNotFoundError without it."""
    tool = find_cuda_tool(TOOL)
    if tool is None:
        raise FileNotFoundError(f"{TOOL} is neither on PATH nor where CUDA is installed")
    return [
        *(tool, "--tool", "memcheck", "--target-processes", "all", "--require-cuda-init", "no"),
        *("--log-file", f"{folder}/{_REPORT}%p"),
    ]


def add_memcheck(evidence: EvidenceFolder, folder: Path) -> None:
    """Add the reports in the folder to the evidence, what they find first."""
    reports = sorted(folder.glob(f"{_REPORT}*"))[:_MOST_REPORTS]
    texts = [_read(path) for path in reports if path.is_file() and not path.is_symlink()]
    whole = "\n".join(texts)
    if not whole.strip():
        evidence.miss(_WHAT, f"{TOOL} wrote no report")
        return
    errors = describe_errors(whole) or [f"{count_errors(whole)} errors"]
    evidence.add(MEMCHECK, _WHAT, "\n".join([*errors, f"({TOOL} said:)", whole]).encode())


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES).decode("utf-8", "replace")

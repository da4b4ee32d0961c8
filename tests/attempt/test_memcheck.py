"""compute-sanitizer around a rank: what it reports is evidence, and it names the kernel."""

import os
from pathlib import Path

import pytest

from harness.attempt import memcheck
from harness.attempt.caches import has_passed
from harness.attempt.evidence import EvidenceFolder
from harness.attempt.memcheck import MEMCHECK, add_memcheck, make_memcheck_command
from harness.core.evidence import FOLDER
from harness.core.memcheck import count_errors, describe_errors
from tests.attempt.conftest import Run

REPORT = """========= COMPUTE-SANITIZER
========= Invalid __global__ write of size 4 bytes
=========     at scatter_beyond_row(float *)+0x50
=========     by thread (0,0,0) in block (0,0,0)
=========     Access at 0x7fb0a0200000 is out of bounds
=========     and is 4,398 bytes after the nearest allocation at 0x7fb0 of size 512 bytes
=========     Saved host backtrace up to driver entry point at kernel launch time
=========         Host Frame: cuLaunchKernel [0x1] in libcuda.so
=========
========= Invalid __global__ write of size 4 bytes
=========     at scatter_beyond_row(float *)+0x50
=========     by thread (1,0,0) in block (0,0,0)
=========     Access at 0x7fb0a0200004 is out of bounds
=========     and is 4,398 bytes after the nearest allocation at 0x7fb1 of size 512 bytes
=========
========= ERROR SUMMARY: 2 errors
"""


def test_the_same_error_of_many_threads_is_one_line() -> None:
    (line,) = describe_errors(REPORT)
    assert line.startswith("Invalid __global__ write of size 4 bytes, kernel scatter_beyond_row(")
    assert "4,398 bytes after the nearest allocation" in line
    assert count_errors(REPORT) == 2


@pytest.mark.parametrize(
    ("where", "kernel"),
    [
        ("at 0x150 in void sum<int>(int*, int)", "void sum<int>(int*, int)"),
        ("at unaligned_kernel():0x160 in memcheck_demo.cu:6", "unaligned_kernel()"),
        ("at a::b<float, 4>(float *)+0xf0", "a::b<float, 4>(float *)"),
    ],
)
def test_a_kernel_is_read_as_every_version_writes_it(where: str, kernel: str) -> None:
    text = f"========= Invalid __shared__ read of size 8\n=========     {where}\n"
    assert describe_errors(text) == [f"Invalid __shared__ read of size 8, kernel {kernel}"]


def test_a_machine_without_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memcheck, "find_cuda_tool", lambda name: None)  # noqa: ARG005
    with pytest.raises(FileNotFoundError, match="neither on PATH"):
        make_memcheck_command(tmp_path)
    evidence = EvidenceFolder(tmp_path)
    add_memcheck(evidence, tmp_path)
    (missing,) = evidence.close().not_done
    assert "wrote no report" in missing.why


def test_a_rank_runs_under_it_and_its_report_is_kept_though_the_test_passed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "bin" / "compute-sanitizer"
    tool.parent.mkdir()
    tool.write_text(f"""#!/bin/sh
while [ "$1" != --log-file ]; do shift; done
cat > "${{2%\\%p}}$$" <<'END'
{REPORT}END
shift 2
exec "$@"
""")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    record = run("passes.py", isolation="spawn", memcheck=True)
    assert has_passed(record)
    report = (tmp_path / "attempt" / FOLDER / MEMCHECK).read_text()
    assert report.startswith("Invalid __global__ write of size 4 bytes, kernel scatter_beyond_row")

"""What this run ran on: recorded so that two runs can be told apart by more than their rates."""

import hashlib
import os
import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from harness.core import signature
from harness.core.ci import detect_ci_job

_PACKAGES = (
    "torch",
    "ray",
    "pytest",
    "pytest-rerunfailures",
    "flash-attn",
    "fa3-fwd",
    "triton",
    "nvidia-nccl-cu13",
    "numpy",
    "capture-harness",
)


def fingerprint(devices: list[dict[str, Any]], suites: Sequence[str] = ()) -> dict[str, Any]:
    """Return packages, kernel, driver, devices, commit, and hashes of local changes and suites."""
    return {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "driver": _nvidia_driver(),
        "devices": devices,
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
        "ci": detect_ci_job(os.environ),
        "signatures": signature.VERSION,
        "suites": {path: _hash_file(path) for path in _list_files(suites)},
        **_git_state(),
    }


def _list_files(suites: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(suite.partition("::")[0] for suite in suites))


def _hash_file(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
    except OSError:
        return "absent"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _nvidia_driver() -> str | None:
    try:
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.splitlines()[0] if text else None


def _git_state() -> dict[str, Any]:
    sha = _git("rev-parse", "HEAD")
    if sha is None:
        return {"sha": None, "dirty": None}
    difference = _git("diff", "HEAD") or ""
    tracked = hashlib.sha256(difference.encode()).hexdigest()[:16] if difference else None
    untracked = _git("ls-files", "--others", "--exclude-standard") or ""
    changed = difference + untracked
    dirty = hashlib.sha256(changed.encode()).hexdigest()[:16] if changed else None
    return {"sha": sha.strip(), "dirty": dirty, "tracked_changes": tracked}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, timeout=20, check=True, encoding="utf-8"
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout

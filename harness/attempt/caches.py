"""Where compilers keep what they made: a recorded choice, since a cold cache costs minutes.

`shared`: one set of folders for all attempts that a device leads in this run, for each environment
and revision. Two attempts never write one folder at once, and no revision sees another's kernels.
`fresh`: empty folders for each attempt. `user`: whatever the environment says.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.attempt.scratch import Scratch
from harness.attempt.spec import AttemptRecord, AttemptSpec

CacheChoice = Literal["shared", "fresh", "user"]
CACHE_CHOICES: tuple[CacheChoice, ...] = ("shared", "fresh", "user")

#: The axis that varies the choice.
CACHES_AXIS = "caches"

#: Triton, inductor, CUDA's own JIT, PyTorch's extensions, FlashInfer, FlashAttention and its DSL.
_VARIABLES = (
    "TRITON_CACHE_DIR",
    "TORCHINDUCTOR_CACHE_DIR",
    "CUDA_CACHE_PATH",
    "TORCH_EXTENSIONS_DIR",
    "FLASHINFER_WORKSPACE_BASE",
    "FLASH_ATTENTION_CUTE_DSL_CACHE_DIR",
    "CUTE_DSL_CACHE_DIR",
)

#: Size and time of change of each file: enough to see what an attempt has written.
_Files = dict[Path, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class OpenCaches:
    """The caches of one attempt while it goes on."""

    folder: Path | None
    """None: the user's own, which nobody looks into."""
    before: _Files

    def close(self, *, passed: bool) -> int | None:
        """Return how many files the attempt compiled; None for the user's own caches.

        What a failed attempt has compiled is removed: it may be what failed, and would infect the
        next.
        """
        if self.folder is None:
            return None
        after = _list_files(self.folder)
        new = [path for path, state in after.items() if self.before.get(path) != state]
        if not passed:
            for path in new:
                path.unlink(missing_ok=True)
        return len(new)


class Caches:
    """The cache folders of one supervisor, in one temporary folder."""

    def __init__(self) -> None:
        self._scratch: Scratch | None = None

    def make_environment(
        self, choice: CacheChoice, python: str, cell: Mapping[str, str]
    ) -> dict[str, str]:
        """Return the variables that lead to the caches. cell: the variables that the cell sets.

        They are the same for each attempt of a cell, as modules read them once, at their import.
        """
        folder = self._find_folder(choice, python, cell)
        return {name: str(folder / name.lower()) for name in _VARIABLES} if folder else {}

    def open(self, spec: AttemptSpec) -> OpenCaches:
        """Make the attempt's folders ready."""
        folder = self._find_folder(spec.caches, spec.python, spec.env)
        if folder is None:
            return OpenCaches(None, {})
        if spec.caches == "fresh":
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        return OpenCaches(folder, _list_files(folder))

    def close(self) -> None:
        """Remove all."""
        if self._scratch is not None:
            self._scratch.close()

    def _find_folder(
        self, choice: CacheChoice, python: str, cell: Mapping[str, str]
    ) -> Path | None:
        if choice == "user":
            return None
        if self._scratch is None:
            self._scratch = Scratch()
        own = {name: value for name, value in cell.items() if name not in _VARIABLES}
        text = json.dumps([python, sorted(own.items())])
        return self._scratch.path / choice / hashlib.sha256(text.encode()).hexdigest()[:12]


def has_passed(record: AttemptRecord) -> bool:
    """Return whether nothing that the supervisor sees speaks of a failure."""
    finished = [event for rank, event in record.events if (rank, event["event"]) == (0, "finish")]
    ended_well = all(end.code == 0 for end in record.exits)
    clean = record.error is None and not record.timed_out
    return clean and ended_well and bool(finished) and finished[-1].get("exitstatus") == 0


def _list_files(folder: Path) -> _Files:
    found: _Files = {}
    for path in folder.rglob("*"):
        try:
            state = path.lstat()
        except OSError:  # a compiler's temporary file, gone since
            continue
        if not path.is_dir():
            found[path] = (state.st_size, state.st_mtime_ns)
    return found

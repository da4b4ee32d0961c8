"""What is asked of the boundary around an attempt; `harness/rank/sandbox.py` puts it up."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.attempt.launch import Launch

_HARNESS = Path(__file__).resolve().parents[2]
#: Where clients of CUDA's multi-process service look for it.
_MPS = "/tmp/nvidia-mps"

SandboxChoice = Literal["auto", "none", "required"]
SANDBOX_CHOICES: tuple[SandboxChoice, ...] = ("auto", "none", "required")
#: `process`: PID, mount and IPC namespace. `network`: a loopback of the attempt's own. `tmp`: a
#: /tmp of its own, in which of the machine's it sees what it was started with.
SANDBOX_PARTS = ("process", "network", "tmp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A boundary that attempts are made behind."""

    choice: SandboxChoice = "none"
    """auto: if the kernel allows it; required: or the attempt is not made."""
    parts: tuple[str, ...] = ("process",)
    protected: tuple[Path, ...] = ()
    """Folders and files that ranks can read and not write: store, results, other attempts."""

    def make_request(self, launch: Launch) -> dict[str, Any] | None:
        """Return what the keeper is told; None for no boundary."""
        if self.choice == "none":
            return None
        return {
            "required": self.choice == "required",
            "parts": list(self.parts),
            "protected": [str(path.resolve()) for path in self.protected if path.exists()],
            "group": str(launch.group.path) if launch.group else None,
            **(make_tmp_request(launch) if "tmp" in self.parts else {}),
        }


def make_tmp_request(launch: Launch) -> dict[str, Any]:
    """Return the folder that is to be the attempt's /tmp, and what of the machine's it needs.

    That is: whatever below /tmp its interpreter, its folder of work and its environment name.
    """
    named = {sys.prefix, sys.base_prefix, str(_HARNESS), str(launch.temporary), _MPS}
    for rank in launch.ranks:
        named |= {rank["cwd"], rank["python"]}
        named |= {part for value in rank["env"].values() for part in value.split(os.pathsep)}
    named |= {part for value in launch.inherited.values() for part in value.split(os.pathsep)}
    below = {name for name in named if name.startswith("/tmp/") and Path(name).exists()}
    resolved = sorted({str(Path(name).resolve()) for name in below} | below)
    # What lies in a kept folder is there already.
    kept = [n for n in resolved if not any(n.startswith(f"{o}/") for o in resolved)]
    return {"tmp": str(launch.make_tmp()), "kept": [n for n in kept if n.startswith("/tmp/")]}

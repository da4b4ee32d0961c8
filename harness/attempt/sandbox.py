"""What is asked of the boundary around an attempt; `harness/rank/sandbox.py` puts it up."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

SandboxChoice = Literal["auto", "none", "required"]
SANDBOX_CHOICES: tuple[SandboxChoice, ...] = ("auto", "none", "required")
#: `process`: PID, mount and IPC namespace. `network`: a loopback of the attempt's own.
SANDBOX_PARTS = ("process", "network")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A boundary that attempts are made behind."""

    choice: SandboxChoice = "none"
    """auto: if the kernel allows it; required: or the attempt is not made."""
    parts: tuple[str, ...] = ("process",)
    protected: tuple[Path, ...] = ()
    """Folders and files that ranks can read and not write: store, results, other attempts."""

    def make_request(self) -> dict[str, Any] | None:
        """Return what the keeper is told; None for no boundary."""
        if self.choice == "none":
            return None
        return {
            "required": self.choice == "required",
            "parts": list(self.parts),
            "protected": [str(path.resolve()) for path in self.protected if path.exists()],
        }

"""What a supervisor keeps for all attempts that it makes."""

from dataclasses import dataclass
from pathlib import Path

from harness.attempt.spec import Isolation


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorSettings:
    """How one device actor starts the processes of its attempts. Pickles, for Ray."""

    python: str
    """The interpreter that keepers run in; forked ranks run in it too."""
    isolation: Isolation
    cwd: Path | None = None
    """Folder whose modules a zygote may preload. None: only what the interpreter has installed, so
    that no code under test runs in a keeper."""
    preload: tuple[str, ...] = ()
    """Modules that a zygote imports before it forks; a spawned rank never sees them."""

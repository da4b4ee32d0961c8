"""What a supervisor keeps for all attempts that it makes."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from harness.attempt.sandbox import Sandbox
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
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    """What every rank's environment begins with, chosen by `select_environment`. The supervisor's
    own is not used: an actor's environment holds Ray's variables and its node's secrets."""
    attempts_per_zygote: int = 10
    """Attempts forked from one zygote. They share its hash seed and its address layout, so a flake
    that depends on them follows the zygote."""
    zygotes_ahead: int = 1
    """Zygotes that preload while another serves; more than one if each serves a single attempt."""
    uses_engine: bool = False
    """The run's suites build this project's engine; see `AttemptSpec.uses_engine`."""
    preload: tuple[str, ...] = ()
    """Modules that a zygote imports before it forks; a spawned rank never sees them."""
    sandbox: Sandbox = field(default_factory=Sandbox)
    """The boundary that attempts are made behind."""
    caches: Literal["shared", "fresh", "user"] = "shared"
    """What most attempts' specs say, so that the first zygote is started with it."""
    learn_preload: bool = False
    """Preload also what the first attempt of a suite shows to be worth it (`preloading.py`)."""

    def limit_to_gpu(self, gpu_id: str) -> "SupervisorSettings":
        """Return settings whose zygotes see one GPU alone, as their ranks will.

        A module that counts GPUs at its import would show all of the node's to every rank.
        """
        environment = {**self.environment, "CUDA_VISIBLE_DEVICES": gpu_id}
        return replace(self, environment=environment)

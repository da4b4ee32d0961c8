"""What an interpreter reads once, at its start, and modules read once, at their import.

Attempts that differ in any of it must not be forked from one zygote: a module that the zygote has
imported would show the first attempt's environment to all others.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from harness.attempt.launch import SINGLE_THREAD, limit_threads
from harness.attempt.ports import VARIABLES
from harness.attempt.settings import SupervisorSettings
from harness.attempt.spec import AttemptSpec

_HASH_SEED = "PYTHONHASHSEED"


@dataclass(frozen=True, slots=True)
class StartUp:
    """The start-up environment of a keeper. Equal ones may share a zygote."""

    python: str
    environment: tuple[tuple[str, str], ...]
    """Sorted; PYTHONHASHSEED is in it if the user or a rerun fixed it."""


def make_start_up(settings: SupervisorSettings, spec: AttemptSpec) -> StartUp:
    """Return what the zygote of this attempt starts with: what its cell sets, nothing of its own.

    HARNESS_CELL and the like, ports too, reach the rank after the fork: only suites and the engine
    read them, and a zygote imports no suite.
    """
    own = {name: value for name, value in spec.env.items() if name not in VARIABLES}
    values = {**settings.environment, **own, **limit_threads(spec)}
    if spec.hash_seed is not None:
        values[_HASH_SEED] = spec.hash_seed
    return StartUp(settings.python, tuple(sorted(values.items())))


def make_first_start_up(settings: SupervisorSettings, cell: Mapping[str, str]) -> StartUp:
    """Return the start-up environment of cells that set these variables: before the first spec."""
    limits = SINGLE_THREAD if settings.uses_engine else {}
    values = {**settings.environment, **cell, **limits}
    return StartUp(settings.python, tuple(sorted(values.items())))


def make_plain_start_up(settings: SupervisorSettings) -> StartUp:
    """Return what a keeper that only spawns starts with: cells reach each new interpreter."""
    return StartUp(settings.python, tuple(sorted(settings.environment.items())))


def choose_zygote_hash_seed(start_up: StartUp) -> str:
    """Return the hash seed of one zygote: fixed by the user, else drawn, and recorded."""
    return dict(start_up.environment).get(_HASH_SEED) or str(secrets.randbelow(2**32))


def choose_hash_seed(settings: SupervisorSettings, spec: AttemptSpec) -> str:
    """Return the hash seed of a spawned attempt: fixed by the user, else from the attempt's seed.

    The same seed thus repeats an attempt whose outcome depends on the order of a set.
    """
    fixed = spec.hash_seed or {**settings.environment, **spec.env}.get(_HASH_SEED)
    return fixed or str(spec.seed % 2**32)

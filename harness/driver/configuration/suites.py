"""From the words of `harness run` to suites: names of the configuration, files, folders, ids."""

import difflib
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness.core.errors import UsageError
from harness.core.known_flakes import flake_to_dict
from harness.core.suite import parse_suite, uses_engine
from harness.core.suite_setup import SuiteKind, SuiteSetup, setup_to_dict
from harness.driver.configuration.model import SuiteTable
from harness.driver.configuration.read import read_configuration
from harness.driver.options import DEFAULT_SUITE, RunOptions
from harness.driver.spelling import spell_suite

_PROBE_SECONDS = 60


def choose_suites(options: RunOptions) -> RunOptions:
    """Return the options with every suite in its one spelling, and set-ups of the named ones.

    Raise UsageError for a name that is neither configured nor a file, and for a configured suite
    that cannot run here.
    """
    configuration = read_configuration()
    known = configuration.suites
    flakes = tuple(flake_to_dict(one.build()) for one in configuration.known_flakes)
    if options.known_flakes and not flakes:
        raise UsageError("--known-flakes: the configuration has no [[known_flakes]]")
    options = replace(options, flakes=flakes if options.known_flakes else ())
    if not options.suites:
        return replace(options, suites=(_choose_default(list(known)),))
    suites = tuple(one for text in options.suites for one in _spell(text, known, options))
    setups = {name: known[name].build_setup() for name in suites if name in known}
    for name, setup in setups.items():
        _check_runnable(name, setup, options)
    configured = {name: setup_to_dict(setup) for name, setup in setups.items()}
    return replace(options, suites=suites, configured=configured)


def _choose_default(names: Sequence[str]) -> str:
    if Path(DEFAULT_SUITE).is_file():
        return DEFAULT_SUITE
    if names:
        raise UsageError(f"name a suite: the configuration has {', '.join(names)}")
    raise UsageError(
        f"name a suite: {DEFAULT_SUITE} does not exist here; "
        "for example: harness run tests/test_graphs.py::TestCapture --repeats 50"
    )


def list_suite_files(options: RunOptions) -> list[str]:
    """Return the files of a run's suites, of configured ones too, as far as they are files."""
    setups = options.setups
    return [
        (setups[one].make_reference(one).path or one) if one in setups else one
        for one in options.suites
    ]


def _spell(text: str, known: dict[str, SuiteTable], options: RunOptions) -> Iterator[str]:
    """Yield the suites that one word names: a folder of this engine's suites is all its files."""
    path = parse_suite(text).path
    if text in known or ("--pyargs" in options.suite_args and not Path(path).exists()):
        yield text
    elif not Path(path).exists() and (near := difflib.get_close_matches(text, known, n=1)):
        raise UsageError(f"suite {text!r} is no file, and not configured: did you mean {near[0]}?")
    elif Path(path).is_dir():
        yield from _list_engine_suites(Path(path)) or [spell_suite(text)]
    else:
        yield spell_suite(text)


def _list_engine_suites(folder: Path) -> list[str]:
    """Return a folder's files one by one if any builds this project's engine.

    What its classes declare decides which cells apply to each file.
    """
    files = sorted({*folder.rglob("test_*.py"), *folder.rglob("*_test.py")})
    found = [spell_suite(str(file)) for file in files]
    return found if any(uses_engine(one, Path()) for one in found) else []


def _check_runnable(name: str, setup: SuiteSetup, options: RunOptions) -> None:
    """Raise UsageError for what would make every attempt fail in the same way."""
    if not Path(setup.cwd).is_dir():
        raise UsageError(f"suites.{name}.cwd: folder {setup.cwd} does not exist")
    if setup.kind is SuiteKind.UNITTEST and not Path(setup.cwd, setup.targets[0]).is_file():
        raise UsageError(f"suites.{name}.unittest: file {setup.targets[0]} does not exist")
    if options.isolation == "fork" and (setup.python or setup.kind is not SuiteKind.PYTEST):
        raise UsageError(
            f"--isolation fork: suite {name} has an interpreter of its own; leave it out"
        )
    if setup.python:
        _check_interpreter(name, setup)


def _check_interpreter(name: str, setup: SuiteSetup) -> None:
    path = Path(setup.python or "")
    if not os.access(path, os.X_OK) or path.is_dir():
        raise UsageError(f"suites.{name}: interpreter {path} does not exist or cannot be executed")
    if setup.kind is not SuiteKind.PYTEST:
        return
    probe = [str(path.absolute()), "-c", "import pytest"]
    try:
        done = subprocess.run(
            probe, cwd=setup.cwd, capture_output=True, timeout=_PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"suites.{name}: interpreter {path} does not run: {error}") from None
    if done.returncode:
        raise UsageError(
            f"suites.{name}: interpreter {path} has no pytest; install it there, "
            "or run the suite as unittest or by command"
        )

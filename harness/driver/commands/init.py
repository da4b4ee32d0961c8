"""`harness init`: writes a first `harness.toml` by looking at the repository."""

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from harness.core.errors import UsageError
from harness.core.exits import ExitCode
from harness.driver.configuration.initial import find_suites, format_configuration
from harness.driver.configuration.read import FILE, read_configuration


def write_configuration() -> int:
    """Write the file into the current folder. Return the exit code.

    Raise UsageError if there is a configuration already, or nothing that could be a suite.
    """
    known = read_configuration()
    path = Path(FILE)
    if path.exists() or known.suites or known.known_flakes:
        raise UsageError(f"there is a configuration here already: edit it, or remove it, {FILE}")
    suites = find_suites(Path())
    if not suites:
        raise UsageError(
            "found no tests/ or test/ with test_*.py, no build/CTestTestfile.cmake and no Makefile "
            f"with a target test: write {FILE} by hand (docs/reference/configuration.md)"
        )
    path.write_text(format_configuration(suites), encoding="utf-8")
    console = Console(soft_wrap=True)
    for suite in suites:
        console.print(escape(f"{suite.name}: {suite.why}"))
    console.print(f"wrote {FILE}; measure one with: harness run {suites[0].name} --repeats 20")
    return ExitCode.OK

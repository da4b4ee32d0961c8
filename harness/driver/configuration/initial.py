"""A first configuration, from what a repository holds. Each suite says why it is there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MOST_FILES = 2000
_MAKE_TEST = re.compile(r"^(test|check):", re.M)
_UNITTEST_MAIN = re.compile(r"^\s+unittest\.main\(", re.M)
_SKIPPED = {".git", ".venv", "venv", "node_modules", ".harness", "build", "dist", ".tox"}


@dataclass(frozen=True, slots=True)
class FoundSuite:
    """A suite that a repository seems to hold. `why`: what was found; `lines`: its keys."""

    name: str
    why: str
    lines: tuple[str, ...]


def find_suites(root: Path) -> list[FoundSuite]:
    """Return suites for the folder's tests: of pytest, of unittest, of CTest, of make."""
    environment = _find_environment(root)
    found = [*_find_pytest(root, environment), *_find_unittest(root, environment)]
    if (root / "build/CTestTestfile.cmake").is_file():
        command = 'command = "ctest --test-dir build --output-junit harness-junit.xml"'
        lines = (command, 'result = "junit:build/harness-junit.xml"')
        found.append(FoundSuite("ctest", "build/CTestTestfile.cmake", lines))
    makefile = root / "Makefile"
    if makefile.is_file() and (target := _MAKE_TEST.search(makefile.read_text(errors="replace"))):
        line = f'command = ["make", "{target[1]}"]'
        found.append(FoundSuite("make", f"target {target[1]!r} of the Makefile", (line,)))
    return found


def _find_environment(root: Path) -> tuple[str, ...]:
    for name in (".venv", "venv"):
        if (root / name / "bin/python").exists():
            return (f'venv = "{name}"',)
    return ()


def _find_pytest(root: Path, environment: tuple[str, ...]) -> Iterator[FoundSuite]:
    for folder in ("tests", "test", "python/tests"):
        if any(_list_files(root / folder, "test_*.py")):
            lines = (f'pytest = "{folder}"', *environment)
            yield FoundSuite(folder.replace("/", "-"), f"test_*.py in {folder}/", lines)
            return


def _find_unittest(root: Path, environment: tuple[str, ...]) -> Iterator[FoundSuite]:
    """Yield the first file that runs itself: others are added by hand, one suite each."""
    for folder in ("tests", "test"):
        for file in _list_files(root / folder, "test_*.py"):
            if _UNITTEST_MAIN.search(file.read_text(errors="replace")):
                path = file.relative_to(root)
                name = re.sub(r"[^A-Za-z0-9_-]", "-", file.stem)
                lines = (f'unittest = "{path}"', *environment)
                yield FoundSuite(name, f"{path} calls unittest.main()", lines)
                return


def _list_files(folder: Path, pattern: str) -> list[Path]:
    found: list[Path] = []
    for path in folder.rglob(pattern):
        if not _SKIPPED & {*path.parts} and path.is_file():
            found.append(path)
        if len(found) >= _MOST_FILES:
            break
    return sorted(found)


def format_configuration(suites: list[FoundSuite]) -> str:
    """Return the file's text; every suite gets an axis to begin with, commented out."""
    parts = ["# What `harness run NAME` measures: docs/reference/configuration.md has all keys.\n"]
    for suite in suites:
        lines = [f"# Found: {suite.why}.", f"[suites.{suite.name}]", *suite.lines, "timeout = 300"]
        parts.append("\n".join(lines) + "\n")
    first = suites[0].name
    parts.append(
        f"# An axis: each value is laid over the suite. The first one is the reference.\n"
        f"# [suites.{first}.axes.threads]\n"
        f'# one = {{ env = {{ OMP_NUM_THREADS = "1" }} }}\n'
        f'# four = {{ env = {{ OMP_NUM_THREADS = "4" }} }}\n'
    )
    return "\n".join(parts)

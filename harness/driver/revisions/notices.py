"""How a revision differs from the base beyond the code under test: said beside every comparison."""

import posixpath
import tomllib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from harness.driver.revisions.git import GitError, git

_CONFIGURATION = (
    "conftest.py",
    "pytest.ini",
    ".pytest.ini",
    "pyproject.toml",
    "tox.ini",
    "setup.cfg",
)
_COMPILED = (".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".hpp", ".pyx", ".rs")

#: What the running harness brings itself, whatever a revision of its own repository holds.
_MEASURING = ("attempt", "cli", "cluster", "driver", "rank", "report", "stats", "store")


def notices(
    here: Path, base: str, sha: str, suites: Sequence[str], base_python: str, python: str
) -> tuple[str, ...]:
    """One sentence per difference that a comparison with `base` must be read with.

    here: the working directory, a folder of the repository; suites: their files, relative to it.
    """
    told = [*_list_left_out(here, sha)]
    if sha == base:
        return tuple(told)
    changed = git(here, "diff", "--name-only", "--no-renames", base, sha).splitlines()
    prefix = PurePosixPath(git(here, "rev-parse", "--show-prefix") or ".")
    tests = _select_among(changed, {posixpath.normpath(prefix / suite) for suite in suites})
    if tests:
        told.append(f"not as in the base: {_some(tests)}: test and code are compared together")
    if found := [path for path in changed if PurePosixPath(path).name in _CONFIGURATION]:
        told.append(f"not as in the base: {_some(found)}: what pytest runs may differ")
    if python == base_python:
        told += _list_shared(here, base, sha, changed)
    if found := [path for path in changed if _is_measuring(path)]:
        told.append(f"not in effect: {_some(found)}: the running harness measures")
    return tuple(told)


def _list_shared(here: Path, base: str, sha: str, changed: list[str]) -> list[str]:
    """What one interpreter for both cannot show."""
    told = []
    needs = [path for path in changed if _is_requirements(path)]
    if _dependencies(here, base) != _dependencies(here, sha):
        needs.insert(0, "dependencies in pyproject.toml")
    if needs:
        told.append(
            f"not as in the base: {_some(needs)}: both run with the same installed packages; "
            "--rev-python gives each revision its own interpreter"
        )
    if found := [path for path in changed if path.endswith(_COMPILED)]:
        told.append(
            f"not as in the base: {_some(found)}: nothing is built in a worktree; what is compiled "
            "is the interpreter's, and --rev-python gives each revision its own"
        )
    return told


def _list_left_out(here: Path, sha: str) -> list[str]:
    """What the commit names and a worktree does not hold."""
    told = []
    entries = [line.split(maxsplit=3) for line in git(here, "ls-tree", "-r", sha).splitlines()]
    if modules := [path for mode, _, _, path in entries if mode == "160000"]:
        told.append(f"not in the worktree: submodule {_some(modules)}")
    if attributes := [path for _, _, _, path in entries if path.endswith(".gitattributes")]:
        patterns = "".join(_text(here, sha, path) for path in attributes)
        if "filter=lfs" in patterns:
            told.append("not in the worktree: files of Git LFS, of which the pointers stand there")
    return told


def _dependencies(here: Path, sha: str) -> Any:
    try:
        project = tomllib.loads(_text(here, sha, "pyproject.toml")).get("project", {})
        return {name: project.get(name) for name in ("dependencies", "optional-dependencies")}
    except (tomllib.TOMLDecodeError, RecursionError, AttributeError):
        return "not readable"


def _text(here: Path, sha: str, path: str) -> str:
    """A file of the commit; empty where it has none."""
    try:
        return git(here, "show", f"{sha}:{path}")
    except GitError:
        return ""


def _is_requirements(path: str) -> bool:
    name = PurePosixPath(path).name
    return name.startswith(("requirements", "constraints")) and name.endswith((".txt", ".in"))


def _is_measuring(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return len(parts) > 2 and parts[0] == "harness" and parts[1] in _MEASURING


def _select_among(changed: list[str], wanted: set[str]) -> list[str]:
    return [path for path in changed if path in wanted]


def _some(names: list[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")

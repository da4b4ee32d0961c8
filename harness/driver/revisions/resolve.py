"""From what the user wrote to commits: once, before anything is measured."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.core.errors import UsageError
from harness.core.revision import Revision
from harness.core.suite import parse_suite
from harness.driver.revisions.git import GitError, git
from harness.driver.revisions.notices import notices

_LABEL_DIGITS = 8


def resolve(
    texts: Sequence[str], pythons: Sequence[str], suites: Sequence[str]
) -> tuple[Revision, ...]:
    """Resolve `--rev` in the repository of the working directory.

    `pythons`: one interpreter per revision, or none for the running one. `suites`: node ids, whose
    files are compared. Raises UsageError where a text names no commit here, two name the same, or
    local changes would be left out.
    """
    here = Path.cwd()
    top = _top(here)
    _check_clean(here)
    shas = [_sha(here, text) for text in texts]
    for text, sha in zip(texts, shas, strict=True):
        if shas.count(sha) > 1:
            raise UsageError(f"--rev {text} stands twice: it is {sha[:12]}; name each commit once")
    chosen = [_interpreter(text) for text in pythons] or [sys.executable] * len(texts)
    folder = here.relative_to(top).as_posix().removeprefix(".")
    return tuple(
        Revision(
            named=text,
            sha=sha,
            label=git(here, "rev-parse", f"--short={_LABEL_DIGITS}", sha),
            python=python,
            folder=folder,
            notes=notices(here, shas[0], sha, _paths(suites), chosen[0], python),
        )
        for text, sha, python in zip(texts, shas, chosen, strict=True)
    )


def localise(suite: str) -> str:
    """The suite's node id relative to the working directory, as each worktree has it.

    Raises UsageError where its file lies outside the repository.
    """
    ref = parse_suite(suite)
    here = Path.cwd()
    named = here / ref.path
    path = named.parent.resolve() / named.name
    top = _top(here)
    if not path.is_relative_to(top):
        raise UsageError(
            f"suite {ref.path!r} is outside the repository {top}: with --rev a suite is read from "
            "each revision; name one that the repository holds"
        )
    return "::".join((os.path.relpath(path, here), *ref.parts))


def _top(here: Path) -> Path:
    try:
        return Path(git(here, "rev-parse", "--show-toplevel"))
    except GitError as error:
        raise UsageError(
            f"--rev measures revisions of the git repository it is started in: {error}"
        ) from None


def _check_clean(here: Path) -> None:
    changed = git(here, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all")
    if changed:
        first = changed.splitlines()[0].split(maxsplit=1)[-1]
        raise UsageError(
            f"--rev measures commits, and {len(changed.splitlines())} tracked files are changed "
            f"here ({first} first), which no revision holds: commit them, or `git stash`"
        )


def _sha(here: Path, text: str) -> str:
    try:
        return git(
            here, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{text}^{{commit}}"
        )
    except GitError:
        raise UsageError(f"--rev {text!r} is no commit of this repository{_hint(here)}") from None


def _hint(here: Path) -> str:
    if git(here, "rev-parse", "--is-shallow-repository") == "true":
        return (
            ", which is a shallow clone: `git fetch --unshallow`, or `git fetch origin SHA` for "
            "that commit alone"
        )
    return ": `git fetch` may be missing, or a letter"


def _interpreter(text: str) -> str:
    path = Path(text).expanduser().absolute()
    if not path.is_file() or not os.access(path, os.X_OK):
        raise UsageError(f"--rev-python {text}: no such interpreter; write PATH/bin/python")
    return str(path)


def _paths(suites: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(parse_suite(suite).path for suite in suites))

"""A rank of a revision: import from the revision's worktree, not from the checkout around it.

An editable install, or a PYTHONPATH, names the checkout that the run was started in. Both revisions
would import that, and a comparison would compare the checkout with itself.
"""

import os
import sys
from collections.abc import MutableMapping
from pathlib import Path

Environ = MutableMapping[str, str]


def make_pytest_arguments(environ: Environ) -> list[str]:
    """Return arguments that make test ids relative to the worktree, whatever folders are above."""
    worktree = environ.get("HARNESS_WORKTREE")
    return [f"--rootdir={worktree}"] if worktree else []


def redirect_imports(environ: Environ) -> None:
    """Put the worktree where the import path names the checkout; without one, do nothing.

    Programs that a test executes get the same path, through PYTHONPATH.
    """
    if not environ.get("HARNESS_WORKTREE"):
        return
    worktree, checkout = Path(environ["HARNESS_WORKTREE"]), Path(environ["HARNESS_CHECKOUT"])
    source = worktree / "src"
    # A project in the `src` layout is imported from there once it is installed.
    first = [str(Path.cwd()), *([str(source)] if source.is_dir() else [])]
    inherited = [entry for entry in environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    environ["PYTHONPATH"] = os.pathsep.join(_redirect(first, inherited, worktree, checkout))
    sys.path[:] = _redirect(first, sys.path, worktree, checkout)


def find_strays(environ: Environ) -> list[str]:
    """Return the packages that came from the checkout all the same: they are not the revision's."""
    if not environ.get("HARNESS_CHECKOUT"):
        return []
    checkout, worktree = Path(environ["HARNESS_CHECKOUT"]), Path(environ["HARNESS_WORKTREE"])
    files = [(name, getattr(module, "__file__", None)) for name, module in [*sys.modules.items()]]
    ours = {"__main__", "__mp_main__", __name__.partition(".")[0]}
    found = {
        name.partition(".")[0]
        for name, file in files
        if isinstance(file, str)
        and file.startswith(str(checkout))
        and _belongs_to(Path(file), checkout, worktree)
    }
    return sorted(name for name in found - ours if not name.startswith("_harness_"))


def _redirect(first: list[str], entries: list[str], worktree: Path, checkout: Path) -> list[str]:
    moved = [_counterpart(Path(entry).resolve(), worktree, checkout) or entry for entry in entries]
    return list(dict.fromkeys([*first, *moved]))


def _counterpart(folder: Path, worktree: Path, checkout: Path) -> str | None:
    """Return the worktree's folder for one of the checkout's, if there is one."""
    if not _belongs_to(folder, checkout, worktree):
        return None
    there = worktree / folder.relative_to(checkout)
    return str(there) if there.is_dir() else None


def _belongs_to(path: Path, checkout: Path, worktree: Path) -> bool:
    """Return whether it is the checkout's own: the worktree and an environment inside are not."""
    others = (worktree, Path(sys.prefix))
    return path.is_relative_to(checkout) and not any(path.is_relative_to(one) for one in others)

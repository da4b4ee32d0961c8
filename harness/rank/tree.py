"""A rank of a revision: imports from the revision's tree what its interpreter has in the checkout.

An editable install, or a PYTHONPATH, names the checkout that the run was started in. Both revisions
would import that, and a comparison would compare it with itself.
"""

import os
import sys
from collections.abc import MutableMapping
from pathlib import Path

Environ = MutableMapping[str, str]


def pytest_arguments(environ: Environ) -> list[str]:
    """Arguments that make test ids relative to the tree, whatever the folders above it hold."""
    return [f"--rootdir={tree}"] if (tree := environ.get("HARNESS_TREE")) else []


def settle(environ: Environ) -> None:
    """Put the tree where the import path names the checkout; nothing without HARNESS_TREE.

    Programs that a test executes get the same, through PYTHONPATH.
    """
    if not environ.get("HARNESS_TREE"):
        return
    tree, checkout = Path(environ["HARNESS_TREE"]), Path(environ["HARNESS_CHECKOUT"])
    # A project in the `src` layout is imported from there once it is installed.
    first = [str(Path.cwd()), *(str(source) for source in [tree / "src"] if source.is_dir())]
    inherited = [entry for entry in environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    environ["PYTHONPATH"] = os.pathsep.join(_settled(first, inherited, tree, checkout))
    sys.path[:] = _settled(first, sys.path, tree, checkout)


def strays(environ: Environ) -> list[str]:
    """Packages that came from the checkout all the same: they are not the revision's."""
    if not environ.get("HARNESS_CHECKOUT"):
        return []
    checkout = Path(environ["HARNESS_CHECKOUT"])
    files = [(name, getattr(module, "__file__", None)) for name, module in [*sys.modules.items()]]
    ours = {"__main__", "__mp_main__", __name__.partition(".")[0]}
    found = {
        name.partition(".")[0]
        for name, file in files
        if isinstance(file, str) and file.startswith(str(checkout)) and _is_of(Path(file), checkout)
    }
    return sorted(found - ours)


def _settled(first: list[str], entries: list[str], tree: Path, checkout: Path) -> list[str]:
    moved = [_moved(Path(entry).resolve(), tree, checkout) or entry for entry in entries]
    return list(dict.fromkeys([*first, *moved]))


def _moved(folder: Path, tree: Path, checkout: Path) -> str | None:
    """The tree's folder in place of the checkout's; None where it is none, or the tree has none."""
    if not _is_of(folder, checkout):
        return None
    there = tree / folder.relative_to(checkout)
    return str(there) if there.is_dir() else None


def _is_of(path: Path, checkout: Path) -> bool:
    """Whether it belongs to the checkout: its worktrees do not, nor an environment kept inside."""
    others = (checkout / ".harness", Path(sys.prefix))
    return path.is_relative_to(checkout) and not any(path.is_relative_to(one) for one in others)

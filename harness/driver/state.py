"""Where stores, run folders and worktrees lie, and why a repository may not bring them along.

One rule for every command. The variable HARNESS_STATE names the folder. Without it, it is in the
runner's temporary folder in CI. Elsewhere a person's own runs lie in `.harness` in the current
folder, and runs of revisions in a folder outside every checkout: a measured revision must not be
able to bring a store, a link or a configuration along.
"""

import hashlib
import os
from pathlib import Path

from harness.core.ci import find_temporary_folder
from harness.core.errors import UsageError
from harness.driver.revisions.git import GitError, git

STATE_VARIABLE = "HARNESS_STATE"
_OWN = Path(".harness")
_STORE = "store.sqlite"


def find_state_folder(*, of_revisions: bool) -> Path:
    """Return the folder that keeps the state of runs: of revisions, or of the folder as it is.

    Raise UsageError if the one for revisions would lie in the checkout.
    """
    if named := os.environ.get(STATE_VARIABLE):
        return Path(named).absolute()
    if temporary := find_temporary_folder(os.environ):
        return Path(temporary).absolute() / "harness"
    return _find_outside() if of_revisions else _OWN.absolute()


def list_state_folders() -> list[Path]:
    """Return every folder that may keep runs which were started here."""
    both = [find_state_folder(of_revisions=flag) for flag in (False, True)]
    return list(dict.fromkeys(both))


def locate_store(*, of_revisions: bool) -> str:
    """Return the path of the store that runs are written to if `--store` names none."""
    return str(find_state_folder(of_revisions=of_revisions) / _STORE)


def list_stores() -> list[str]:
    """Return the path of every store that runs started here may be in."""
    return [str(folder / _STORE) for folder in list_state_folders()]


def refuse_tracked_state() -> None:
    """Raise UsageError if the repository tracks the folder that runs are kept in.

    A store in it could answer for the measurement, and a link in it could lead what is written
    anywhere.
    """
    for folder in dict.fromkeys((_OWN.absolute(), *list_state_folders())):
        if tracked := _list_tracked(folder):
            raise UsageError(
                f"this repository tracks {tracked[0]}: {folder.name} holds results, which must not "
                f"come with a checkout; `git rm -r --cached {folder.name}` and commit"
            )


def refuse_tracked_link(option: str, path: Path) -> None:
    """Raise UsageError if a file to be written is a link that the repository tracks."""
    if path.is_symlink() and _list_tracked(path.absolute()):
        raise UsageError(
            f"{option} {path}: this is a link to {path.readlink()} that came with the checkout, "
            "and what is written would go there; name another file"
        )


def _list_tracked(path: Path) -> list[str]:
    """Return what the repository around the current folder tracks at this path or below it."""
    try:
        # Also a checkout of somebody else's, as in a container: nothing of it is run.
        return git(Path.cwd(), "-c", "safe.directory=*", "ls-files", "--", str(path)).splitlines()
    except (GitError, UsageError):
        return []  # no repository, no git, or a folder outside: nothing can be tracked


def _find_outside() -> Path:
    checkout = _find_checkout()
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")
    # Two checkouts of one name are told apart by where they are.
    digest = hashlib.sha256(os.fsencode(checkout)).hexdigest()[:8]
    folder = Path(base).absolute() / "harness" / f"{checkout.name}-{digest}"
    if folder.resolve().is_relative_to(checkout):
        raise UsageError(
            f"runs of revisions would be kept in {folder}, inside the measured checkout "
            f"{checkout}: set {STATE_VARIABLE} or XDG_STATE_HOME to a folder outside"
        )
    return folder


def _find_checkout() -> Path:
    """Return the top of the checkout around the current folder, or the folder itself."""
    here = Path.cwd().resolve()
    tops = (folder for folder in (here, *here.parents) if (folder / ".git").exists())
    return next(tops, here)

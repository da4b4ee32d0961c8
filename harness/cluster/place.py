"""What an attempt needs of the node that it runs on, looked at before it starts."""

import os
import tempfile
from pathlib import Path

from harness.attempt.spec import AttemptSpec

_PROBE_BYTES = 4096


def find_place_fault(spec: AttemptSpec) -> str | None:
    """Return why this node cannot run the attempt; None if nothing stands in its way."""
    return _find_missing_part(spec) or _find_folder_fault(spec.folder)


def _find_missing_part(spec: AttemptSpec) -> str | None:
    if not spec.cwd.is_dir():
        return f"folder {spec.cwd} does not exist there"
    if not os.access(spec.python, os.X_OK):
        return f"interpreter {spec.python} cannot be executed there"
    # A command's words are no paths, and a package is found by its name.
    named = spec.kind == "command" or "--pyargs" in spec.arguments
    for nodeid in () if named else spec.nodeids:
        path = spec.cwd / nodeid.split("::")[0]
        if not path.exists():
            return f"suite {path} does not exist there"
    return None


def _find_folder_fault(folder: Path) -> str | None:
    """Write and remove a block, so that a full disk shows too."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder.parent, prefix=".probe-") as probe:
            probe.write(bytes(_PROBE_BYTES))
            probe.flush()
    except OSError as error:
        return f"folder {folder.parent} cannot be written: {error.strerror}"
    return None

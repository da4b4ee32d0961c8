"""The files that a run is written to, beside the store: checked before a run, written after it."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.core.errors import UsageError
from harness.driver.state import refuse_tracked_link
from harness.report.formats.registry import FORMATS, Format
from harness.report.run_export import RunExport

__all__ = ["FORMATS", "Format", "Outputs"]


@dataclass(frozen=True, slots=True)
class Outputs:
    """Paths by the name of their format, and whether the terminal shows the verdict alone."""

    paths: Mapping[str, Path] = field(default_factory=dict)
    quiet: bool = False

    def check(self) -> None:
        """Raise UsageError, before anything is run, for a file that cannot be written."""
        for name, path in self.paths.items():
            _check_place(FORMATS[name], path)
            _check_libraries(FORMATS[name])

    def write(self, export: RunExport) -> None:
        """Write the files. Raise UsageError if the system refuses one; the others are written."""
        failures = []
        for name, path in self.paths.items():
            try:
                FORMATS[name].write(export, path)
            except OSError as error:
                failures.append(f"{FORMATS[name].option} {path}: {error.strerror}")
        if failures:
            raise UsageError("; ".join(failures))


def _check_place(wanted: Format, path: Path) -> None:
    where = f"{wanted.option} {path}"
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{where}: folder {path.parent} does not exist")
    if path.is_dir() and not wanted.is_folder:
        raise UsageError(f"{where}: this is a folder; name a file in it")
    if path.exists() and not path.is_dir() and wanted.is_folder:
        raise UsageError(f"{where}: this is a file; name a folder")
    refuse_tracked_link(wanted.option, path)


def _check_libraries(wanted: Format) -> None:
    missing = [name for name in wanted.libraries if importlib.util.find_spec(name) is None]
    if missing:
        what = f"'capture-harness[{wanted.extra}]'" if wanted.extra else " ".join(missing)
        raise UsageError(f"{wanted.option} needs {', '.join(missing)}: pip install {what}")

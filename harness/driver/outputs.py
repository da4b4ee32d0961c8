"""The files that a finished run is written to, beside the store."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core.errors import UsageError
from harness.report.markdown import markdown

#: GitHub refuses a step's whole summary above 1 MiB; the rest is for what other commands append.
SUMMARY_LIMIT = (1 << 20) - 4096


@dataclass(frozen=True, slots=True)
class Outputs:
    """`--json` is written anew, `--markdown` appended to: a job's summary has other authors."""

    json_file: Path | None = None
    markdown_file: Path | None = None

    def check(self) -> None:
        """Raises UsageError, before anything is run, for a file that cannot be there."""
        for option, path in self._given():
            if not path.absolute().parent.is_dir():
                raise UsageError(f"{option} {path}: folder {path.parent} does not exist")
            if path.is_dir():
                raise UsageError(f"{option} {path}: this is a folder; name a file in it")

    def write(self, run: Mapping[str, Any]) -> None:
        """Write the `run.json` object. Raises UsageError where the system refuses."""
        for option, path in self._given():
            try:
                _append(path, run) if option == "--markdown" else _replace(path, run)
            except OSError as error:
                raise UsageError(f"{option} {path}: {error.strerror}") from error

    def _given(self) -> list[tuple[str, Path]]:
        named = (("--json", self.json_file), ("--markdown", self.markdown_file))
        return [(option, path) for option, path in named if path]


def _replace(path: Path, run: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _append(path: Path, run: Mapping[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        # A blank line ends whatever block stands before.
        before = "\n\n" if file.tell() else ""
        report = markdown(run, SUMMARY_LIMIT - file.tell() - len(before))
        file.write(before + report if report else "")

"""The files that a finished run is written to, beside the store."""

import json
from dataclasses import dataclass
from pathlib import Path

from harness.analysis.report_model import Report
from harness.core.errors import UsageError
from harness.report.markdown import write_markdown
from harness.report.run_json import write_run_json

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

    def write(self, report: Report) -> None:
        """Write the report. Raises UsageError where the system refuses."""
        for option, path in self._given():
            try:
                _append(path, report) if option == "--markdown" else _replace(path, report)
            except OSError as error:
                raise UsageError(f"{option} {path}: {error.strerror}") from error

    def _given(self) -> list[tuple[str, Path]]:
        named = (("--json", self.json_file), ("--markdown", self.markdown_file))
        return [(option, path) for option, path in named if path]


def _replace(path: Path, report: Report) -> None:
    path.write_text(
        json.dumps(write_run_json(report), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _append(path: Path, report: Report) -> None:
    with path.open("a", encoding="utf-8") as file:
        # A blank line ends whatever block stands before.
        before = "\n\n" if file.tell() else ""
        text = write_markdown(report, SUMMARY_LIMIT - file.tell() - len(before))
        file.write(before + text if text else "")

"""Markdown, appended: a job's summary has other authors."""

from pathlib import Path

from harness.report.markdown import write_markdown
from harness.report.run_export import RunExport

#: GitHub refuses a step's whole summary above 1 MiB; the rest is for what other commands append.
SUMMARY_LIMIT = (1 << 20) - 4096


def write(export: RunExport, path: Path) -> None:
    """Append the report, after a blank line that ends whatever block came before."""
    with path.open("a", encoding="utf-8") as file:
        before = "\n\n" if file.tell() else ""
        text = write_markdown(export.report, SUMMARY_LIMIT - file.tell() - len(before))
        file.write(before + text if text else "")

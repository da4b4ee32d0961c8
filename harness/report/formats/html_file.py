"""HTML: one page that opens from disk, without a network."""

from pathlib import Path

from harness.report.html.page import render_page
from harness.report.run_export import RunExport


def write(export: RunExport, path: Path) -> None:
    """Write the page anew."""
    path.write_text(render_page(export), encoding="utf-8", errors="replace")

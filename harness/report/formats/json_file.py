"""`run.json`, written anew."""

import json
from pathlib import Path

from harness.report.run_export import RunExport
from harness.report.run_json import write_run_json


def write(export: RunExport, path: Path) -> None:
    """Write the report as `harness.run/1`."""
    text = json.dumps(write_run_json(export.report), indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")

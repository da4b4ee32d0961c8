"""The files that a run is written to."""

import json
from pathlib import Path

import pytest

from harness.core.errors import UsageError
from harness.driver.outputs import Outputs
from harness.report.formats.markdown_file import SUMMARY_LIMIT
from harness.report.run_export import RunExport
from tests.report.runs import ASCENDING, make_report, write_object

REPORT = make_report({}, 5, infra={ASCENDING: 5})
EXPORT = RunExport(REPORT, [], lambda: iter(()))


def test_json_is_written_anew_and_markdown_appended(tmp_path: Path) -> None:
    summary, document = tmp_path / "summary.md", tmp_path / "run.json"
    summary.write_text("- of another command")
    document.write_text("old")
    Outputs({"json": document, "markdown": summary}).write(EXPORT)
    assert json.loads(document.read_text()) == write_object(REPORT)
    assert summary.read_text().startswith("- of another command\n\n### Cannot say")


def test_a_summary_stays_below_what_github_takes(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("x" * (SUMMARY_LIMIT - 25))
    Outputs({"markdown": summary}).write(EXPORT)
    assert summary.stat().st_size == SUMMARY_LIMIT
    Outputs({"markdown": summary}).write(EXPORT)
    assert summary.stat().st_size == SUMMARY_LIMIT


@pytest.mark.parametrize("option", ["--json", "--markdown"])
def test_a_file_that_cannot_be_there_is_a_usage_error(tmp_path: Path, option: str) -> None:
    def outputs(path: Path) -> Outputs:
        return Outputs({option.removeprefix("--"): path})

    with pytest.raises(UsageError, match=rf"{option} .*: folder .* does not exist"):
        outputs(tmp_path / "none" / "file").check()
    with pytest.raises(UsageError, match="this is a folder; name a file in it"):
        outputs(tmp_path).check()
    with pytest.raises(UsageError, match=rf"{option} .*: Is a directory"):
        outputs(tmp_path).write(EXPORT)

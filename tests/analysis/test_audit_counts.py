"""An audit's findings in a run's report, and what says that a run was amplified."""

from dataclasses import replace
from typing import Any

from harness.analysis.audit_counts import count_findings
from harness.analysis.build_report import build_report
from harness.analysis.run_counts import RunCounts
from harness.analysis.verdict import judge_run
from harness.core.audit import AuditFinding, read_finding
from harness.core.cell import Cell
from harness.report.audit_lines import describe_finding, list_findings
from harness.report.run_json import read_run_json, write_run_json
from tests.report.runs import ASCENDING, make_counts

FINDING = AuditFinding("dangling", "freed", "draft bs 1", "gather_kernel", "parameter 2")


def make_audited(findings: tuple[AuditFinding, ...], **options: Any) -> RunCounts:
    counts = make_counts({ASCENDING: 10}, 20)
    rows = [
        replace(row, audit=findings if row.position % 4 == 0 else ()) for row in counts.attempts
    ]
    run = replace(counts.run, options={"audit": True, **options})
    return replace(counts, run=run, attempts=rows)


def test_a_finding_is_counted_once_for_each_attempt() -> None:
    counts = make_audited((FINDING, FINDING, replace(FINDING, kernel="other")))
    found = count_findings(counts.attempts)
    assert [(one.n, one.finding.kernel) for one in found] == [(10, "gather_kernel"), (10, "other")]
    assert found[0].example == "r.0"
    assert 0 < found[0].failed < 10


def test_the_report_has_the_findings_and_is_read_back() -> None:
    counts = make_audited((FINDING,))
    report = build_report(counts, judge_run(counts))
    assert report.run.audited
    assert read_run_json(write_run_json(report)).audit == report.audit
    found, advice = list_findings(report)
    assert "gather_kernel" in found
    assert advice.startswith("what to do (dangling): ")
    assert len(describe_finding(report.audit[0])) == 1


def test_a_run_without_findings_says_in_how_many_attempts_it_looked() -> None:
    sentences = judge_run(make_audited(())).sentences
    assert any("nothing in 40 attempts" in one for one in sentences)


def test_a_run_that_was_not_audited_says_nothing_of_it() -> None:
    sentences = judge_run(make_audited((), audit=False)).sentences
    assert not any("audit" in one for one in sentences)


def test_an_amplified_run_says_so_beside_its_rate() -> None:
    counts = make_audited(())
    cells = tuple(
        replace(cell, axes=Cell((*cell.axes.axes, ("amplify", "poison+delay"))))
        for cell in counts.cells
    )
    sentences = judge_run(replace(counts, cells=cells)).sentences
    assert any("poison, delay" in one for one in sentences)
    assert not any("amplified" in one for one in judge_run(counts).sentences)


def test_a_forged_finding_is_bounded() -> None:
    event = {"event": "hook_audit", "kernel": "k" * 9999, "node": "x", "freed": ["f" * 999] * 99}
    finding = read_finding(event)
    assert len(finding.kernel) == 300
    assert finding.node == 0
    assert (len(finding.freed), len(finding.freed[0])) == (8, 300)

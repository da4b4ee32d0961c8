"""The one report of a run, from what is stored of it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.analysis.audit_counts import count_findings, is_audited
from harness.analysis.contrast_results import make_contrast_result
from harness.analysis.report_model import (
    CiOrigin,
    RateGateResult,
    RefusedCell,
    Report,
    RunFacts,
    VerdictResult,
    WarmupAttempt,
)
from harness.analysis.revision_notes import describe_revision
from harness.analysis.run_counts import MESSAGE_LIMIT, RunCounts, count_run
from harness.analysis.verdict import RunVerdict, judge_run
from harness.core.cell import parse_cell_key
from harness.core.exits import ExitCode
from harness.core.records import AttemptRow, RunRecord, TestCount


@dataclass(frozen=True, slots=True)
class JudgedRun:
    """A run's report, and the exit code that its verdict gives."""

    report: Report
    exit_code: ExitCode


def report_run(
    run: RunRecord,
    attempts: Sequence[AttemptRow],
    tests: Sequence[TestCount],
    warmups: Sequence[AttemptRow] = (),
) -> JudgedRun:
    """Count and judge a stored run; `attempts` are in lease order, `warmups` are only listed."""
    counts = count_run(run, attempts, tests, warmups)
    verdict = judge_run(counts)
    return JudgedRun(build_report(counts, verdict), verdict.exit_code)


def build_report(counts: RunCounts, verdict: RunVerdict) -> Report:
    """Return the report of a counted and judged run."""
    plan, gate = counts.plan, None
    if verdict.gate is not None and plan.max_flake_rate is not None:
        gate = RateGateResult(plan.max_flake_rate, verdict.gate)
    return Report(
        run=_collect_facts(counts),
        cells=counts.cells,
        refused=tuple(RefusedCell(p.suite, p.cell, p.refused or "") for p in counts.refused),
        contrasts=tuple(make_contrast_result(*judged) for judged in verdict.contrasts),
        signatures=counts.signatures,
        infrastructure=tuple(counts.infrastructure),
        gate=gate,
        attribution=verdict.attribution,
        verdict=VerdictResult(verdict.outcome, verdict.sentences, verdict.attempts_needed),
        warmup=tuple(map(_describe_warmup, counts.warmups)),
        audit=count_findings(counts.attempts),
        earlier=counts.earlier,
    )


def _describe_warmup(row: AttemptRow) -> WarmupAttempt:
    return WarmupAttempt(
        *(row.id, row.suite, parse_cell_key(row.cell), row.status, row.wall_seconds),
        *(row.kind, row.phase, row.signature),
        row.message and row.message[-MESSAGE_LIMIT:],
    )


def _collect_facts(counts: RunCounts) -> RunFacts:
    run, plan, fingerprint = counts.run, counts.plan, counts.run.fingerprint
    # With revisions, what the checkout held was not measured.
    checkout: dict[str, Any] = {} if plan.revisions else fingerprint
    origin = fingerprint.get("ci")
    return RunFacts(
        id=run.id,
        seed=run.seed,
        device=run.device,
        graphs="+".join(sorted({c.capture.graphs for c in counts.cells if c.capture.graphs})),
        status=run.status,
        sha=checkout.get("sha"),
        dirty=checkout.get("dirty"),
        created=run.created,
        ended=run.ended,
        audited=is_audited(counts),
        ended_by=run.ended_by,
        repeats=plan.repeats,
        fixed_seed=plan.fixed_seed,
        in_ci=plan.in_ci,
        ci=CiOrigin(**origin) if origin else None,
        until_decided=plan.until_decided,
        expected_rates=plan.expected_rates,
        revisions=tuple(map(describe_revision, plan.revisions)),
        fingerprint=fingerprint,
    )

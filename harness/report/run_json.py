"""`--json` and `run.json`: the contract's `harness.run/1`."""

from dataclasses import asdict
from typing import Any

from harness.analysis.cells import CellSummary, TestSummary
from harness.analysis.revisions import revisions_json
from harness.analysis.summary import RunSummary
from harness.analysis.verdict import Verdict

SCHEMA = "harness.run/1"


def run_json(summary: RunSummary, verdict: Verdict) -> dict[str, Any]:
    """The run as the contract's JSON object."""
    run = summary.run
    return {
        "schema": SCHEMA,
        "run": {
            "id": run.id,
            "seed": run.seed,
            "device": run.device,
            "graphs": summary.graphs,
            "status": run.status,
            # With revisions, what the checkout held was not measured.
            "sha": None if summary.plan.revisions else run.fingerprint.get("sha"),
            "dirty": None if summary.plan.revisions else run.fingerprint.get("dirty"),
            "created": run.created,
            "ended": run.ended,
            "repeats": summary.plan.repeats,
            "fixed_seed": summary.plan.fixed_seed,
            "in_ci": summary.plan.in_ci,
            "ci": run.fingerprint.get("ci"),
            "until_decided": summary.plan.until_decided,
            "expected_rates": list(summary.plan.expected_rates),
            "revisions": revisions_json(summary.plan.revisions),
            "fingerprint": run.fingerprint,
        },
        "cells": [_cell(cell) for cell in summary.cells],
        "refused": [
            {"suite": p.suite, "axes": p.cell.as_dict(), "reason": p.refused}
            for p in summary.refused
        ],
        "contrasts": [contrast.as_dict() for contrast in verdict.contrasts],
        "signatures": [
            {"id": s.id, "signature": s.signature, "kind": s.kind, "phase": s.phase, "n": s.n}
            for s in summary.signatures
        ],
        "infrastructure": summary.infra_reasons,
        "gate": _gate(summary, verdict),
        "attribution": _attribution(verdict),
        "verdict": {
            "outcome": verdict.outcome,
            "sentences": verdict.sentences,
            "attempts_needed": verdict.attempts_needed,
        },
    }


def _gate(summary: RunSummary, verdict: Verdict) -> dict[str, Any] | None:
    if verdict.gate is None:
        return None
    return {"max_flake_rate": summary.plan.max_flake_rate, "state": verdict.gate.value}


def _attribution(verdict: Verdict) -> dict[str, Any] | None:
    found = verdict.attribution
    if found is None:
        return None
    return {
        "verdict": found.verdict.value,
        "sentence": found.sentence,
        "named": list(found.named),
        "tested": [asdict(tested) for tested in found.tested],
    }


def _cell(cell: CellSummary) -> dict[str, Any]:
    return {
        "name": cell.name,
        "suite": cell.suite,
        "axes": cell.cell.as_dict(),
        "attempts": cell.passed + cell.failed + cell.infra,
        "planned": cell.planned,
        "passed": cell.passed,
        "failed": cell.failed,
        "infra": cell.infra,
        "censored": cell.censored,
        "precluded": sum(test.precluded for test in cell.tests),
        "kinds": cell.kinds,
        "kind_intervals": {kind: asdict(i) for kind, i in cell.kind_intervals.items()},
        "rate": cell.rate,
        "interval": cell.interval and asdict(cell.interval),
        "worst_case": cell.worst_case and asdict(cell.worst_case),
        "order": {"requested": cell.order_requested, "observed": cell.order_observed},
        "graphs": cell.graphs,
        "seconds": cell.seconds,
        "capture": {
            "pool_bytes": cell.pool_bytes,
            "peak_bytes": cell.peak_bytes,
            "seconds": cell.capture_seconds,
            "trace": cell.trace,
        },
        "tests": [_test(test) for test in cell.tests],
        "notes": cell.notes,
    }


def _test(test: TestSummary) -> dict[str, Any]:
    return {
        "id": test.id,
        "passed": test.passed,
        "failed": test.failed,
        "skipped": test.skipped,
        "precluded": test.precluded,
        "recovered": test.recovered,
        "kinds": dict(test.kinds),
        "interval": test.interval and asdict(test.interval),
    }

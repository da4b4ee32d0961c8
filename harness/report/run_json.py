"""`--json` and `run.json`: the contract's `harness.run/1`."""

from typing import Any

from harness.report.summary import CellSummary, RunSummary, TestSummary
from harness.report.verdict import Verdict

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
            "sha": run.fingerprint.get("sha"),
            "dirty": run.fingerprint.get("dirty"),
            "created": run.created,
            "ended": run.ended,
            "repeats": summary.plan.repeats,
            "fixed_seed": summary.plan.fixed_seed,
            "in_ci": summary.plan.in_ci,
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
        "verdict": {"outcome": verdict.outcome, "sentences": verdict.sentences},
    }


def _cell(cell: CellSummary) -> dict[str, Any]:
    interval = cell.interval
    return {
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
        "rate": cell.rate,
        "interval": interval
        and {
            "low": interval.low,
            "high": interval.high,
            "level": interval.level,
            "method": interval.method,
        },
        "order": {"requested": cell.order_requested, "observed": cell.order_observed},
        "graphs": cell.graphs,
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
    }

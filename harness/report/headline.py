"""The first lines of a report made from `run.json`: the outcome in words, and what was measured."""

from collections.abc import Mapping
from typing import Any

from harness.analysis.words import percent
from harness.core.neutral import neutral
from harness.core.statuses import VerdictOutcome

Run = Mapping[str, Any]


def headline(run: Run) -> str:
    """The outcome in one line. No outcome is a word alone: a clean run says what it leaves open."""
    outcome, gate = run["verdict"]["outcome"], run["gate"]
    failed = sum(cell["failed"] for cell in run["cells"])
    valid = failed + sum(cell["passed"] for cell in run["cells"])
    counts = f"{failed} of {valid} attempts failed"
    if (
        gate
        and gate["state"] in ("holds", "broken")
        and outcome in (VerdictOutcome.PASSED, VerdictOutcome.FAILED)
    ):
        claim = f"every cell fails less often than {percent(gate['max_flake_rate'])}"
        return f"Gate {gate['state']} ({claim}): {counts}"
    if outcome == VerdictOutcome.PASSED:
        return f"No failure in {valid} attempts{_left_open(run)}"
    if outcome == VerdictOutcome.NO_TESTS:
        return "No test was collected"
    if outcome == VerdictOutcome.CANNOT_SAY:
        return "Cannot say: not everything that was asked has a valid attempt"
    return f"{neutral(outcome, 40).capitalize()}: {counts}"


def _left_open(run: Run) -> str:
    """The greatest rate that the cells' intervals allow."""
    highs = [cell["interval"]["high"] for cell in run["cells"] if cell["interval"]]
    if not highs:
        return " of one seed, which are one observation"
    return f"; a cell's interval still reaches {percent(max(highs))}"


def measured(run: Run) -> str:
    """Commits, device, graphs and seed in one line."""
    about = run["run"]
    status = neutral(about["status"], 40)
    seed = f"{'fixed ' if about['fixed_seed'] else ''}seed {about['seed']}"
    parts = [
        _commits(about),
        f"{neutral(about['device'], 40)}, {_graphs(about)}",
        f"up to {about['repeats']} attempts per cell",
        seed,
        f"run <code>{neutral(about['id'], 100)}</code> {status}",
    ]
    return " · ".join(parts)


def _commits(about: Run) -> str:
    if revisions := about["revisions"]:
        named = [
            f"{neutral(r['named'], 200)} = <code>{neutral(r['sha'])}</code>" for r in revisions
        ]
        return "base " + ", head ".join(named)
    if about["sha"] is None:
        return "no commit known"
    changed = " with local changes" if about["dirty"] else ""
    return f"commit <code>{neutral(about['sha'])}</code>{changed}"


def _graphs(about: Run) -> str:
    """A CPU has no CUDA graphs, whatever an engine says of itself."""
    if not about["graphs"]:
        return "no graph captured"
    if about["device"] == "cpu":
        return "recorded graphs (no CUDA graphs)"
    return {"cuda": "CUDA graphs"}.get(about["graphs"], f"{neutral(about['graphs'], 100)} graphs")

"""Failures as they are read: their kinds by today's rules (`core/kind_correction.py`)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from harness.core.kind_correction import (
    CORRECTABLE,
    correct_kind,
    describe_correction,
    read_scope,
)
from harness.core.records import TestCount, TestOutcome
from harness.core.statuses import VALID
from harness.store import schema


def correct_attempt(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of `attempt` with its kind corrected, and a note if it was another."""
    kind = _correct(values, values)
    if kind == values["kind"]:
        return dict(values)
    note = describe_correction(values["kind"], kind or "none")
    return {**values, "kind": kind, "notes": [*values["notes"], note]}


def correct_counts(
    connection: sa.Connection, run_id: str, counts: Sequence[TestCount]
) -> list[TestCount]:
    """Return the counts of a run's tests with their kinds corrected."""
    if not any(count.kind in CORRECTABLE for count in counts):
        return list(counts)
    a, t = schema.attempt, schema.test_result
    wanted = (a.c.suite, a.c.cell, t.c.test, t.c.outcome, t.c.kind, t.c.recovered, a.c.part)
    query = sa.select(*wanted, t.c.phase, t.c.signature, t.c.message, a.c.devices, a.c.graphs)
    query = query.join(a, a.c.id == t.c.attempt_id)
    query = query.where(a.c.run_id == run_id, a.c.warmup == 0, t.c.kind.in_(CORRECTABLE))
    totals = Counter({replace(count, n=0): count.n for count in counts})
    for row in connection.execute(query.where(a.c.status.in_(VALID))):
        values = dict(row._mapping)
        kind = _correct(values, values)
        if kind != row.kind:
            counted = TestCount(*row[:6], n=0, part=row.part)
            totals[counted] -= 1
            totals[replace(counted, kind=kind)] += 1
    return [replace(count, n=n) for count, n in totals.items() if n > 0]


def correct_outcome(row: sa.Row[*tuple[Any, ...]]) -> TestOutcome:
    """Return a test's outcome with its kind corrected; its attempt's columns follow its own."""
    outcome = TestOutcome._make(row[: len(TestOutcome._fields)])
    if outcome.kind not in CORRECTABLE:  # nearly all, of the hundred thousands that a run may have
        return outcome
    return outcome._replace(kind=_correct(outcome._asdict(), dict(row._mapping)))


def _correct(failure: Mapping[str, Any], attempt: Mapping[str, Any]) -> str | None:
    if failure["kind"] not in CORRECTABLE:
        kind: str | None = failure["kind"]
        return kind
    scope = read_scope(attempt["cell"], attempt["devices"], attempt["graphs"])
    words = failure["phase"], failure["signature"], failure["message"]
    return correct_kind(failure["kind"], *words, scope)

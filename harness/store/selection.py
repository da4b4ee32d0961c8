"""Which of many runs or attempts a name means. Pure."""

from collections.abc import Sequence

from harness.core.errors import UsageError
from harness.core.records import AttemptRow, RunRecord


def select_run(runs: Sequence[RunRecord], name: str) -> RunRecord:
    """Return the run with this id, unique prefix, or `latest`: the first one.

    Raise UsageError if none fits, or several do.
    """
    if name == "latest" and runs:
        return runs[0]
    found = [run for run in runs if run.id == name] or [
        run for run in runs if name and run.id.startswith(name)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"run {name!r} is ambiguous: {', '.join(r.id for r in found[:5])}")
    raise UsageError(f"no run {name!r} in this store; `harness runs` lists {len(runs)}")


def select_attempt(rows: Sequence[AttemptRow], name: str) -> AttemptRow:
    """Return the attempt with this id, or the only one. Raise UsageError if there is none.

    rows: attempts whose ids begin with the name.
    """
    exact = [row for row in rows if row.id == name]
    if not name or not rows:
        raise UsageError(
            f"no attempt {name!r} in this store: give RUN.N, as `harness report RUN` prints it"
        )
    if len(exact or rows) != 1:
        raise UsageError(
            f"attempt {name!r} is ambiguous, {len(rows)} ids begin so: add its number, "
            f"as in {rows[0].id}"
        )
    return (exact or rows)[0]

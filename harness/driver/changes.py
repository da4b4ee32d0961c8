"""What differs between now and what a run stored when it began: a resumed run must not mix two."""

from collections.abc import Iterator, Mapping
from typing import Any

from harness.core.errors import UsageError
from harness.core.records import RunRecord


def choose_parts(
    record: RunRecord, now: Mapping[str, Any], *, has_revisions: bool, allowed: bool
) -> tuple[dict[str, Any], ...]:
    """Return the run's later parts, with one more if what is measured has changed since the last.

    `now`: the fingerprint of this moment. With revisions the checkout is not measured. Raise
    UsageError, naming what differs, unless changes are allowed.
    """
    then = record.parts[-1] if record.parts else record.fingerprint
    differing = list(list_differences(then, now, has_revisions=has_revisions))
    if not differing:
        return record.parts
    if not allowed:
        raise UsageError(
            f"run {record.id} began with something else: {'; '.join(differing)}. One rate must not "
            "mix two versions: restore what it began with, start another run, or add "
            "--allow-changed, which shows the rates of what comes now apart"
        )
    return (*record.parts, {**now, "changed": differing})


def list_differences(
    then: Mapping[str, Any], now: Mapping[str, Any], *, has_revisions: bool
) -> Iterator[str]:
    """Yield each difference that changes what is measured. What was not stored is not compared."""
    yield from _compare_maps("package", then.get("packages"), now.get("packages"))
    if has_revisions:
        return
    if then.get("sha") != now.get("sha"):
        yield f"commit {_shorten(then.get('sha'))} is now {_shorten(now.get('sha'))}"
    if "tracked_changes" in then and then["tracked_changes"] != now.get("tracked_changes"):
        yield "uncommitted changes are not those of then"
    yield from _compare_maps("suite", then.get("suites"), now.get("suites"))


def _compare_maps(
    what: str, then: Mapping[str, str] | None, now: Mapping[str, str] | None
) -> Iterator[str]:
    if then is None:
        return
    for name, value in then.items():
        found = (now or {}).get(name)
        if found != value:
            yield f"{what} {name} {_describe(value)} is now {_describe(found)}"


def _describe(value: str | None) -> str:
    return value if value is not None else "absent"


def _shorten(sha: Any) -> str:
    return str(sha)[:12] if sha else "none"

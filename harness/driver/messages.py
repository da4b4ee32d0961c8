"""The sentences that commands print while they work. What a report says is in `analysis`."""

from collections.abc import Sequence
from pathlib import Path

#: How a run stands that is marked running although nobody runs it.
ABANDONED = "running (its driver is gone: --resume goes on)"


def say_starting(address: str | None) -> str:
    """Return the line before Ray answers."""
    return "starting Ray" if address is None else f"joining {address}"


def say_withheld(names: Sequence[str]) -> str:
    """Return the line that names the variables which measured programs do not get."""
    return (
        f"withheld from measured programs: {', '.join(names)}; "
        "--pass-env NAME passes one on, its value may then appear in logs"
    )


def say_interrupted(cause: str) -> str:
    """Return the line after the first end signal, or a closed pipe."""
    return f"interrupted ({cause}): ending the attempts in flight; finished ones are kept"


def say_rerun_interrupted(cause: str, made: int, wanted: int) -> str:
    """Return the line after an end signal while an attempt was made again."""
    return f"interrupted ({cause}) after {made} of {wanted} attempts; no process of it is left"


def say_settled(not_needed: int, in_flight: int) -> str:
    """Return the line for a run that stops early."""
    return (
        f"the question is settled: {not_needed} attempts are not needed, "
        f"{in_flight} in flight are drained and stored"
    )


def say_store_failed(error: Exception, journal: Path) -> str:
    """Return the line for a store that does not take a result."""
    return f"{error}; results are kept in {journal}, and storing them is tried again"


def say_store_back() -> str:
    """Return the line for a store that works again."""
    return "the store works again: nothing is missing in it"


def say_unstored(unstored: int, run_id: str, journal: Path) -> str:
    """Return the last line of a run whose store failed to the end."""
    return (
        f"harness: {unstored} attempts of run {run_id} are not in the store; they are in {journal}"
        ", and `harness run --resume` brings them in once the store works"
    )


def say_lost(attempt_id: str, reason: str, again: bool) -> str:
    """Return the line for an attempt that was lost before its suite started."""
    return f"{attempt_id}: {reason}" + ("; it is launched again" if again else "; it stays owed")


def say_driver_gone(run_id: str) -> str:
    """Return the line for a run that is marked running although nobody runs it."""
    return (
        f"harness: run {run_id} is marked running, but no process here runs it: its driver is "
        "gone, or the store was copied without its -wal file, which holds the latest attempts"
    )


def say_warmup(per_cell: int, cells: int) -> str:
    """Return the line of the plan for attempts that warm up."""
    return f"first {per_cell * cells} attempts to warm up, {per_cell} per cell: never counted"


def say_warmup_failed(attempt_id: str, what: str) -> str:
    """Return the line for an attempt that failed while it warmed up."""
    return f"{attempt_id} failed in warm-up, which is not counted: {what}"


def say_too_few_devices(tp: int) -> str:
    """Return why attempts cannot be run by any gang."""
    return f"fewer than {tp} healthy devices are left on one node"


def say_owed(count: int, reason: str) -> str:
    """Return the line for attempts that the run could not make."""
    return f"{reason}: {count} attempts are owed; --resume can make them later"


def say_missing(run_id: str, count: int) -> str:
    """Return the line before a resumed run goes on."""
    return f"run {run_id}: {count} attempts are missing"

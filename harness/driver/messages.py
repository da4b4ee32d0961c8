"""The sentences that commands print while they work. What a report says is in `analysis`."""

from collections.abc import Sequence


def say_starting(address: str | None) -> str:
    """Return the line before Ray answers."""
    return "starting Ray" if address is None else f"joining {address}"


def say_withheld(names: Sequence[str]) -> str:
    """Return the line that names the variables which measured programs do not get."""
    return (
        f"withheld from measured programs: {', '.join(names)}; "
        "--pass-env NAME passes one on, its value may then appear in logs"
    )


def say_interrupted() -> str:
    """Return the line after the first end signal."""
    return "interrupted: ending the attempts in flight; finished ones are kept"


def say_settled(not_needed: int, in_flight: int) -> str:
    """Return the line for a run that stops early."""
    return (
        f"the question is settled: {not_needed} attempts are not needed, "
        f"{in_flight} in flight are drained and stored"
    )


def say_too_few_devices(tp: int, dropped: int) -> str:
    """Return the line for attempts that no healthy gang can run."""
    return (
        f"fewer than {tp} healthy devices are left on one node: "
        f"{dropped} attempts are not run; --resume can run them later"
    )


def say_missing(run_id: str, count: int) -> str:
    """Return the line before a resumed run goes on."""
    return f"run {run_id}: {count} attempts are missing"

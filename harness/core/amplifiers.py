"""Amplifiers: changes around captures and replays that make a rare fault frequent.

They are off unless asked for, and a cell with amplifiers has a value on an axis of its own: its
rate is never pooled with a plain one, nor shown as one.
"""

from collections.abc import Iterable

from harness.core.errors import UsageError

#: The axis of a cell; its value joins the names by `+`.
AMPLIFY_AXIS = "amplify"

#: No amplifier: the value to compare with.
PLAIN = "none"

#: Name -> what it does. `harness/hook/amplify/` has one module for each.
AMPLIFIERS = {
    "poison": "free blocks are taken, filled with a pattern and held through each replay",
    "canary": "free blocks are taken and checked after each replay: a write into them is reported",
    "delay": "work on side streams is delayed before it runs",
    "compete": "a stream of its own keeps the device busy during each replay",
    "align": "replays of several threads begin at the same moment",
    "jitter": "each rank waits a random time before each replay",
}


def join_amplifiers(names: Iterable[str]) -> str:
    """Return the axis value for these amplifiers together. Raise UsageError for an unknown one."""
    found = [*dict.fromkeys(names)]
    check_amplifiers("+".join(found))
    return "+".join(found)


def check_amplifiers(value: str | int) -> None:
    """Raise UsageError unless the value names amplifiers, joined by `+`, or `none`."""
    unknown = [name for name in str(value).split("+") if name not in AMPLIFIERS]
    if unknown and value != PLAIN:
        raise UsageError(
            f"--amplify {unknown[0]!r}: choose from {', '.join(AMPLIFIERS)}; "
            f"an axis takes them joined by +, or {PLAIN}"
        )


def list_parts(value: object) -> tuple[str, ...]:
    """Return the parts of the start-up hook that a cell's value asks for."""
    return () if value in (None, PLAIN) else (f"amplify:{value}",)

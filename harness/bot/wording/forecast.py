"""What the acknowledgement says of a measurement's size. Pure."""

import math
from dataclasses import dataclass
from datetime import date

from harness.bot.policy.access import Terms

UNKNOWN = (
    "Expected time: unknown, since no measurement of these suites and values of the last 7 days "
    "left a result. The measuring job's log begins with its cells."
)
#: Shown by name; a result may hold any number of axes.
_MOST_AXES = 6


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a measurement will take, if it goes as an earlier one of the same suites did."""

    cells: int
    repeats: int
    seconds: float
    """From the first attempt to the last, on a runner of the same kind."""
    device_seconds: float
    unread: tuple[str, ...]
    """Axes that the suites never read: their values make no difference."""
    workflow_run: int
    day: date

    @property
    def minutes(self) -> int:
        """Minutes that it takes, at least one."""
        return max(math.ceil(self.seconds / 60), 1)


def write_forecast(
    forecast: Forecast | None, terms: Terms, runs_url: str, *, until_decided: bool
) -> list[str]:
    """Write how much is measured, how long that takes, and what of it would do nothing."""
    if forecast is None:
        return [UNKNOWN]
    most = "at most " if until_decided else ""
    hours = forecast.device_seconds / 3600
    attempts = (
        f"{forecast.cells} cells x {most}{forecast.repeats} repeats = "
        f"{forecast.cells * forecast.repeats} attempts"
    )
    source = f"[measured here]({runs_url}/{forecast.workflow_run})"
    cost = f"about {forecast.minutes} minutes, {hours:.2g} device-hours"
    lines = [f"Expected, if it goes as on {forecast.day} ({source}): {attempts}, {cost}."]
    if forecast.minutes > terms.minutes and not until_decided:
        lines.append(f"That is longer than its {terms.minutes} minutes: it would be cut short.")
    if forecast.unread:
        named = ", ".join(f"`{name}`" for name in forecast.unread[:_MOST_AXES])
        lines.append(f"These suites never read {named}: varying it does nothing.")
    return lines

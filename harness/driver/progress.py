"""What the user sees while a run goes on: one bar, failures by kind, time left."""

import sys
from collections import Counter

from tqdm import tqdm

from harness.core.events import Event, number, text
from harness.core.result import AttemptResult


class Progress:
    """Draws the overall bar and, when verbose, rank 0's capture progress from its events."""

    def __init__(self, total: int, done: int, verbose: bool) -> None:
        self._kinds: Counter[str] = Counter()
        self._verbose = verbose
        self._bar = tqdm(
            total=total,
            initial=done,
            desc="attempts",
            unit="attempt",
            file=sys.stderr,
            dynamic_ncols=True,
            smoothing=0.1,
            # A log file wants a line now and then, not a moving clock.
            mininterval=0.1 if sys.stderr.isatty() else 30,
        )

    def ended(self, name: str, result: AttemptResult) -> None:
        """Called as each attempt ends."""
        if result.failure:
            self._kinds[result.failure.kind.value] += 1
            if self._verbose:
                self._bar.write(f"{name}: {result.failure.kind} · {result.failure.signature}")
        if self._kinds:
            counted = ", ".join(f"{kind} {n}" for kind, n in sorted(self._kinds.items()))
            self._bar.set_postfix_str(counted, refresh=False)
        self._bar.update(1)

    def extend(self, more: int) -> None:
        """Called when an infrastructure attempt is queued once more."""
        self._bar.total += more
        self._bar.refresh()

    def event(self, name: str, event: Event) -> None:
        """Called for each event of rank 0 while an attempt runs; draws captures when verbose."""
        if self._verbose and event["event"] == "capture":
            free = number(event, "free_after") / 2**30
            self._bar.write(
                f"{name}: captured {text(event, 'role')} bs={number(event, 'bs'):.0f} "
                f"avail_mem={free:.2f} GB"
            )

    def say(self, line: str) -> None:
        """One line above the bar: a quarantined device, a stop."""
        self._bar.write(line, file=sys.stderr)

    def tick(self) -> None:
        """Keep the clock moving while nothing ends."""
        if sys.stderr.isatty():
            self._bar.refresh()

    def close(self) -> None:
        """Leave the last state on the screen."""
        self._bar.close()

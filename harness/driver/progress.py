"""What the user sees while a run goes on: one bar, failures by kind, time left."""

import sys
from collections import Counter
from typing import Protocol, TextIO

from tqdm import tqdm

from harness.core.events import Event, read_number, read_text
from harness.core.result import AttemptResult, Failure
from harness.driver import messages

#: Seconds between lines of a log, which wants one now and then and not a moving clock.
LOG_EVERY_S = 30.0


def describe_failure(failure: Failure) -> str:
    """Return kind and signature, as every line about a failure shows them."""
    return f"{failure.kind}: {failure.signature}"


class ProgressView(Protocol):
    """What the run's loop tells whoever shows the run."""

    def end_attempt(self, name: str, result: AttemptResult) -> None:
        """Take an attempt that ended; `name` begins with its id."""

    def end_warmup(self, attempt_id: str, result: AttemptResult) -> None:
        """Take a warm-up attempt that ended: it is not counted, and its failure stays visible."""

    def extend(self, more: int) -> None:
        """Expect more attempts: an infrastructure attempt is made again."""

    def event(self, name: str, event: Event) -> None:
        """Take an event of rank 0."""

    def say(self, line: str) -> None:
        """Show a line that stays."""

    def tick(self) -> None:
        """Keep the clock moving while nothing ends."""

    def close(self) -> None:
        """Leave the last state on the screen."""


class _Lines:
    """A log in place of a terminal: each time the bar would be drawn over, a line of its own.

    A workflow's log shows nothing of a line before it ends, so a redrawn bar would show only then.
    """

    def __init__(self, log: TextIO) -> None:
        self._log = log

    def write(self, text: str) -> None:
        line = text.strip()
        if line:
            self._log.write(line + "\n")

    def flush(self) -> None:
        self._log.flush()


class Progress:
    """Draws the overall bar and, when verbose, rank 0's capture progress from its events."""

    def __init__(
        self, total: int | None, done: int, verbose: bool, label: str = "attempts"
    ) -> None:
        """`total`: None if it is open; then the bar goes away when it is closed."""
        self._kinds: Counter[str] = Counter()
        self._verbose = verbose
        self._drawn = sys.stderr.isatty()
        self._bar = tqdm(
            total=total,
            initial=done,
            desc=label,
            leave=total is not None,
            delay=LOG_EVERY_S if total is None and not self._drawn else 0,
            unit="attempt",
            file=sys.stderr if self._drawn else _Lines(sys.stderr),
            dynamic_ncols=self._drawn,
            ncols=None if self._drawn else 0,
            smoothing=0.1,
            mininterval=0.1 if self._drawn else LOG_EVERY_S,
        )

    def end_attempt(self, name: str, result: AttemptResult) -> None:
        """Called as each attempt ends."""
        if result.failure:
            self._kinds[result.failure.kind.value] += 1
            if self._verbose:
                self.say(f"{name}: {result.failure.kind} · {result.failure.signature}")
        if self._kinds:
            counted = ", ".join(f"{kind} {n}" for kind, n in sorted(self._kinds.items()))
            self._bar.set_postfix_str(counted, refresh=False)
        self._bar.update(1)

    def end_warmup(self, attempt_id: str, result: AttemptResult) -> None:
        """Called as each warm-up attempt ends."""
        if result.failure:
            self.say(messages.say_warmup_failed(attempt_id, describe_failure(result.failure)))

    def extend(self, more: int) -> None:
        """Called when an infrastructure attempt is queued once more."""
        self._bar.total += more
        self._bar.refresh()

    def event(self, name: str, event: Event) -> None:
        """Called for each event of rank 0 while an attempt runs; draws captures when verbose."""
        if self._verbose and event["event"] == "capture":
            free = read_number(event, "free_after") / 2**30
            self.say(
                f"{name}: captured {read_text(event, 'role')} bs={read_number(event, 'bs'):.0f} "
                f"avail_mem={free:.2f} GB"
            )

    def say(self, line: str) -> None:
        """One line above the bar, or of the log: a quarantined device, a stop."""
        if self._drawn:
            self._bar.write(line, file=sys.stderr)
        else:
            sys.stderr.write(line + "\n")

    def tick(self) -> None:
        """Keep the clock moving while nothing ends."""
        if self._drawn:
            self._bar.refresh()

    def close(self) -> None:
        """Leave the last state on the screen."""
        self._bar.close()

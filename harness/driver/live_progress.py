"""What a terminal shows while a run goes on: cells filling in, and what rank 0 does."""

import time
from collections.abc import Sequence

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from harness.core.events import Event
from harness.core.records import AttemptRow
from harness.core.result import AttemptResult
from harness.driver import messages
from harness.driver.context import RunContext
from harness.driver.live_state import LiveState, estimate_seconds_left
from harness.driver.progress import describe_failure
from harness.report.layout import clean_text
from harness.report.live import describe_event, render_live


class LiveProgress:
    """Draws the run on a terminal; has the methods of `Progress`, which writes lines to a log."""

    def __init__(self, context: RunContext, rows: Sequence[AttemptRow], verbose: bool) -> None:
        """`rows`: the attempts that a resumed run has stored already."""
        self._state = LiveState(context.run_id, context.plan)
        kept = [row for row in rows if not row.is_owed]
        for row in kept:
            self._state.end(row.id, row.status, None)
        self._left = len(self._state.queue) - len({row.position for row in kept})
        self._began, self._ended = time.time(), 0
        self._verbose = verbose
        self._console = Console(stderr=True)
        self._live = Live(self._render(), console=self._console, refresh_per_second=4)
        self._live.start()

    def end_attempt(self, name: str, result: AttemptResult) -> None:
        """Count an attempt that ended; `name` begins with its id."""
        failure = result.failure
        text = describe_failure(failure) if failure else None
        self._state.end(name.partition(" ")[0], result.status, text)
        self._ended, self._left = self._ended + 1, self._left - 1
        if text and self._verbose:
            self.say(f"{name}: {text}")
        self.tick()

    def end_warmup(self, attempt_id: str, result: AttemptResult) -> None:
        """Leave a line if a warm-up attempt failed."""
        self._state.under_way.pop(attempt_id, None)
        if result.failure:
            self.say(messages.say_warmup_failed(attempt_id, describe_failure(result.failure)))
        self.tick()

    def extend(self, more: int) -> None:
        """Expect more attempts: an infrastructure attempt is made again."""
        self._left += more

    def event(self, name: str, event: Event) -> None:
        """Show what rank 0 of an attempt does; with `-v` also leave a line per capture."""
        doing = describe_event(event)
        self._state.act(name, time.time(), doing)
        if self._verbose and event["event"] == "capture":
            self.say(f"{name}: {doing}")

    def say(self, line: str) -> None:
        """Leave a line above the picture."""
        self._console.print(Text(clean_text(line)), soft_wrap=True)

    def tick(self) -> None:
        """Keep the clock moving while nothing ends."""
        self._live.update(self._render())

    def close(self) -> None:
        """Leave the cells as they are on the screen, without attempts under way."""
        self._state.under_way.clear()
        self._live.update(self._render())
        self._live.stop()

    def _render(self) -> RenderableType:
        now = time.time()
        pace = [self._began] * self._ended
        seconds_left = estimate_seconds_left(pace, now, self._left)
        return render_live(self._state.show("running", now, seconds_left))

"""Lists that are longer than GitHub lists at once, read in slices of time.

GitHub ends a list at 1,000 entries. Whoever floods the bot with commands must not keep others from
it, so a span with more is read in halves.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from harness.bot.github.transport import TooManyError

Entry = TypeVar("Entry")

#: A shorter span is not divided: so many commands in it are an attack that no list outlives.
LEAST = timedelta(minutes=1)
#: Requests are limited too, 1,000 in an hour: so many spans are asked for at most.
_MOST_SPANS = 64


def list_in_slices(list_slice: Callable[[str], list[Entry]], since: datetime) -> list[Entry]:
    """Return what the slices between `since` and now hold; an entry may come twice.

    list_slice: returns the entries of one span, written as GitHub's `created` takes it. Raise
    TooManyError if a minute holds more than GitHub lists, or if there are too many spans.
    """
    try:
        return list_slice(f">={format_time(since)}")
    except TooManyError:
        now = datetime.now(UTC)
    spans, found, asked = [(since, now)], list[Entry](), 0
    while spans:  # what began meanwhile is not earlier than this command
        start, end = spans.pop()
        asked += 1
        try:
            found += list_slice(f"{format_time(start)}..{format_time(end)}")
        except TooManyError:
            if end - start <= LEAST or asked >= _MOST_SPANS:
                raise
            middle = start + (end - start) / 2
            spans += [(start, middle), (middle, end)]
    return found


def format_time(moment: datetime) -> str:
    """Return a moment as GitHub's queries take it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

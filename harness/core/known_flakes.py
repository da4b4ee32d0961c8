"""Tests that are known to fail now and then. They hide no failure; a rate gate reads them."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class KnownFlake:
    """A test, who mends it, until when the entry holds, and the failure rate that is tolerated."""

    test: str
    owner: str
    expires: date
    rate: float

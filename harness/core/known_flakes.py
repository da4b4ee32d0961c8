"""Tests that are known to fail now and then. They hide no failure; `--known-flakes` reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True)
class KnownFlake:
    """A test, who mends it, until when the entry holds, and the failure rate that is tolerated."""

    test: str
    owner: str
    expires: date
    rate: float

    def covers(self, test: str) -> bool:
        """Return whether the entry is of this test, or of all parameters of it."""
        return test == self.test or test.startswith(f"{self.test}[")


def flake_to_dict(flake: KnownFlake) -> dict[str, Any]:
    """Return an entry as stored: JSON values only."""
    return {
        "test": flake.test,
        "owner": flake.owner,
        "expires": flake.expires.isoformat(),
        "rate": flake.rate,
    }


def flake_from_dict(stored: Mapping[str, Any]) -> KnownFlake:
    """Return the entry that `flake_to_dict` wrote. Raise ValueError if its date is none."""
    expires = date.fromisoformat(stored["expires"])
    return KnownFlake(stored["test"], stored["owner"], expires, stored["rate"])

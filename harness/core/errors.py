"""Errors a user can act on. The CLI prints the message alone and exits with the error's code.

HarnessError
 ├─ UsageError      an option, suite or capability is wrong       exit 2
 ├─ NoDeviceError   nothing healthy to run on                     exit 5
 └─ StoreError      the store is unwritable, foreign or newer     exit 6

A message says what happened, which value, and what to change, in one line.
"""

import difflib

from harness.core.exits import ExitCode


class HarnessError(Exception):
    """Base of every error that is the user's to mend."""

    exit_code = ExitCode.USAGE


class UsageError(HarnessError):
    """An option, suite or capability does not fit."""


class NoDeviceError(HarnessError):
    """No device is present, free or healthy."""

    exit_code = ExitCode.NO_VALID_ATTEMPT


class StoreError(HarnessError):
    """The store cannot be opened, read or written."""

    exit_code = ExitCode.STORE


class NoStoreError(StoreError):
    """There is no store yet."""


def unknown_value(what: str, value: object, known: list[str]) -> UsageError:
    """Return the one wording for a value that is not among the known ones."""
    near = difflib.get_close_matches(str(value), known, n=1)
    guess = f"did you mean {near[0]!r}? " if near else ""
    return UsageError(f"unknown {what} {value!r}: {guess}choose from {', '.join(known) or 'none'}")

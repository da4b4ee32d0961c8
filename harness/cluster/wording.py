"""Sentences about Ray's failures, for people: one line, without Ray's prefix and colours."""

import re

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_CALL = re.compile(r"^ray::\S+\s*\(pid=\d+[^)]*\)\s*")
_LIMIT = 300


def clean_text(text: str) -> str:
    """Return the text without terminal colours."""
    return _COLOURS.sub("", text).strip()


def clean_line(text: str) -> str:
    """Return the one line of an error's text that says what happened, at most 300 characters.

    That is the last line of a traceback, and else the first line.
    """
    lines = [line.strip() for line in clean_text(text).splitlines() if line.strip()]
    if not lines:
        return "no reason given"
    has_traceback = _CALL.match(lines[0]) or any(line.startswith("File ") for line in lines)
    line = lines[-1] if has_traceback else lines[0]
    return _CALL.sub("", line)[:_LIMIT]


def explain_refusal(text: str) -> str:
    """Return why a cluster was not joined; for a token that it refuses, what to set."""
    if "AuthToken" not in text and "AuthenticationError" not in text:
        return clean_line(text)
    return (
        "the cluster refuses this token: set RAY_AUTH_TOKEN to its token, or RAY_AUTH_TOKEN_PATH "
        "to a file with it (default ~/.ray/auth_token); for a cluster without tokens set "
        "RAY_AUTH_MODE=disabled"
    )

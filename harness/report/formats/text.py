"""Text of tests made fit for files that other programs read. Pure."""

import re

#: Characters of one message that JUnit, CTRF and HTML keep.
MESSAGE_LIMIT = 8000
#: What XML 1.0 forbids, and what UTF-8 cannot hold.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_REPLACEMENT = "\ufffd"


def make_plain(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Return text without terminal escapes and forbidden characters, cut in its middle."""
    if len(text) > limit:
        half = limit // 2
        left_out = f"\n[{len(text) - limit} characters left out]\n"
        text = text[:half] + left_out + text[-half:]
    return _FORBIDDEN.sub(_REPLACEMENT, _ESCAPES.sub("", text))


def take_first_line(text: str, limit: int = 300) -> str:
    """Return the first line that says something."""
    lines = (line.strip() for line in text.splitlines())
    return next((line for line in lines if line), "")[:limit]

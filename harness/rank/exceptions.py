"""An exception as the wire carries it: type names, message, innermost frames."""

import builtins
import re
import traceback
from typing import Any

from .wire import MAX_TEXT

_MAX_FRAMES = 12

ExcDict = dict[str, Any]


def describe(error: BaseException) -> ExcDict:
    """The wire's `exc` for one exception."""
    return {
        "types": [_type_name(cls) for cls in type(error).__mro__ if cls is not object],
        "message": _message(error)[:MAX_TEXT],
        "frames": _frames(error),
    }


def describe_text(text: str) -> ExcDict:
    """The wire's `exc` for a failure of which only a text is left."""
    return {"types": [], "message": text[:MAX_TEXT], "frames": []}


def describe_report(longrepr: Any) -> ExcDict | None:
    """The wire's `exc` for what a report of another process says of its exception.

    None if it is a text alone: of a strict xfail that passed, or a test failed for its subtests.
    """
    crash = getattr(longrepr, "reprcrash", None)
    if crash is None:
        return None
    text = str(crash.message)
    if text.startswith("assert "):  # pytest leaves the type of a rewritten assertion out
        text = f"AssertionError: {text}"
    name, colon, rest = text.partition(": ")
    cls = getattr(builtins, name, None)
    types = [name] if colon and re.fullmatch(r"[\w.]+", name) else []
    if isinstance(cls, type) and issubclass(cls, BaseException):
        types = [_type_name(one) for one in cls.__mro__ if one is not object]
    message = rest if types else text
    return {"types": types, "message": message[:MAX_TEXT], "frames": _report_frames(longrepr)}


def _report_frames(longrepr: Any) -> list[dict[str, object]]:
    entries = getattr(getattr(longrepr, "reprtraceback", None), "reprentries", ())
    found = [one for one in entries if getattr(one, "reprfileloc", None)]
    return [_read_entry(one) for one in found[-_MAX_FRAMES:]]


def _read_entry(entry: Any) -> dict[str, object]:
    """Return a frame: its function stands in the source that pytest shows."""
    defined = re.findall(r"^[>\s]*(?:async )?def (\w+)", "\n".join(entry.lines), re.M)
    place = entry.reprfileloc
    name = defined[0] if defined else "?"
    return {"file": str(place.path), "line": int(place.lineno), "function": name}


def _type_name(cls: type[BaseException]) -> str:
    prefix = "" if cls.__module__ == "builtins" else f"{cls.__module__}."
    return prefix + cls.__qualname__


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception as broken:
        return f"<message raised {type(broken).__name__}>"
    if isinstance(error, BaseExceptionGroup):
        # A teardown with two failures raises a group; its own text names neither.
        members = (f"{type(e).__name__}: {_message(e)}" for e in error.exceptions)
        return "\n".join([text, *members])
    return text


def _frames(error: BaseException) -> list[dict[str, object]]:
    frames = [
        {"file": frame.f_code.co_filename, "line": line, "function": frame.f_code.co_name}
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    return frames[-_MAX_FRAMES:]

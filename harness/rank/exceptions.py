"""An exception as the wire carries it: type names, message, innermost frames."""

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

"""What the parser of the command line raises, in one line: which option, which value, what to give.

The parser names no value, and says what a type's validator calls the error.
"""

from typing import Any

#: What to give instead, by the validator's name of the error.
_WANTED = {
    "int_parsing": "give a whole number",
    "int_parsing_size": "give a smaller number",
    "int_from_float": "give a whole number",
    "float_parsing": "give a number",
    "greater_than_equal": "give at least {ge}",
    "less_than_equal": "give at most {le}",
}


def describe_mistake(error: Any) -> str:
    """Return the line for an error of the parser; empty if it has printed help instead."""
    message = str(error.format_message()).rstrip(".")
    found = _list_details(error)
    if found:
        wanted = _WANTED.get(found[0]["type"], str(found[0]["msg"]))
        wanted = wanted.format(**found[0].get("ctx", {}))
        return f"{error.param.opts[-1]} {found[0]['input']!r}: {wanted}"
    if type(error).__name__ == "MissingParameter":
        return f"{message}: `{_name_command(error)} --help` says what it is"
    return message


def _list_details(error: Any) -> list[dict[str, Any]]:
    """Return what the validator of an option's type has found; nothing for other errors."""
    validation = error.__cause__
    named = getattr(error, "param", None) is not None and hasattr(validation, "errors")
    return list(validation.errors()) if named else []


def _name_command(error: Any) -> str:
    words = error.ctx.command_path.split() if error.ctx else [""]
    return " ".join(["harness", *words[1:]])

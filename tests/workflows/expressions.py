"""GitHub's expressions, as far as the workflows use them, evaluated against a job's context.

A name that the context lacks is null, as on GitHub, and null equals nothing but itself and "".
"""

import re
from collections.abc import Mapping
from typing import Any

_TOKEN = re.compile(r"\s*(&&|\|\||==|!=|!|\(|\)|,|'(?:[^']|'')*'|[0-9]+|[A-Za-z_][\w.-]*)")


def evaluate(expression: str, context: Mapping[str, Any]) -> Any:
    """Return the value of an expression, with or without its braces."""
    text = expression.strip()
    bare = re.fullmatch(r"\$\{\{(.*)\}\}", text, re.DOTALL)
    parser = _Parser(_split(bare[1] if bare else text), context)
    value = parser.read_or()
    assert not parser.tokens, f"not read: {parser.tokens}"
    return value


def _split(text: str) -> list[str]:
    tokens, at = [], 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        assert found, f"not an expression: {text[at:]}"
        tokens.append(found[1])
        at = found.end()
    return tokens


class _Parser:
    """Reads tokens by precedence: or, and, comparison, not, value."""

    def __init__(self, tokens: list[str], context: Mapping[str, Any]) -> None:
        self.tokens = tokens
        self.context = context

    def take(self, *wanted: str) -> str | None:
        if self.tokens and self.tokens[0] in wanted:
            return self.tokens.pop(0)
        return None

    def read_or(self) -> Any:
        value = self.read_and()
        while self.take("||"):
            other = self.read_and()
            value = value if value else other
        return value

    def read_and(self) -> Any:
        value = self.read_comparison()
        while self.take("&&"):
            other = self.read_comparison()
            value = other if value else value
        return value

    def read_comparison(self) -> Any:
        value = self.read_not()
        if sign := self.take("==", "!="):
            return (_compare(value) == _compare(self.read_not())) is (sign == "==")
        return value

    def read_not(self) -> Any:
        if self.take("!"):
            return not self.read_not()
        if self.take("("):
            value = self.read_or()
            assert self.take(")")
            return value
        return self.read_value(self.tokens.pop(0))

    def read_value(self, token: str) -> Any:
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        if token.isdigit():
            return int(token)
        if self.take("("):
            return self.call(token)
        value: Any = self.context
        for part in token.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def call(self, name: str) -> Any:
        arguments = []
        while not self.take(")"):
            arguments.append(self.read_or())
            self.take(",")
        match name:
            case "format":
                return re.sub(r"\{(\d)\}", lambda m: _show(arguments[int(m[1]) + 1]), arguments[0])
            case "startsWith":
                return _show(arguments[0]).lower().startswith(_show(arguments[1]).lower())
            case "always":
                return True
            case "cancelled":
                return self.context["cancelled"]
        raise AssertionError(f"no such function: {name}")


def _show(value: Any) -> str:
    return "" if value is None else str(value)


def _compare(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else "" if value is None else value

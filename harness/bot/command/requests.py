"""What a comment can ask for, as values. Names and numbers only: nothing else can be expressed."""

import re
from dataclasses import dataclass

COMMAND = "/rerun-test"

_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
TARGET = re.compile(rf"((?:{_SEGMENT}/)*{_SEGMENT}\.py)((?:::{_NAME}){{0,2}})")


@dataclass(frozen=True, slots=True)
class Target:
    """A suite: a file of the repository, or only its name, and optionally a class and a test."""

    file: str
    node: str = ""
    """Empty, `::Class`, `::test` or `::Class::test`."""

    @property
    def is_bare(self) -> bool:
        """Whether this is a file name without its folder, to be found in the tree."""
        return "/" not in self.file

    @property
    def is_expressible(self) -> bool:
        """Whether a command can name it."""
        return TARGET.fullmatch(self.text) is not None

    @property
    def text(self) -> str:
        """The suite as `harness run` takes it."""
        return self.file + self.node


@dataclass(frozen=True, slots=True)
class Measure:
    """A measurement. None and empty: not given, so the policy's value or the default."""

    targets: tuple[Target, ...]
    sha: str | None = None
    """7 to 40 digits."""
    repeats: int | None = None
    orders: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()
    tp: int | None = None
    gpus: int | None = None
    until_decided: bool = False
    against_base: bool = False


@dataclass(frozen=True, slots=True)
class Help:
    """`/rerun-test help`."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """`/rerun-test cancel`: end what the bot still runs for this pull request."""


@dataclass(frozen=True, slots=True)
class Status:
    """`/rerun-test status`: bring the comments of what still runs up to date."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """Meant for the bot, but not of the grammar. `reason` quotes printable ASCII only."""

    reason: str


Command = Measure | Help | Cancel | Status | Malformed


def format_command(asked: Measure) -> str:
    """Return the comment's first line that `parse_command` reads as this request."""
    words = [COMMAND, *(target.text for target in asked.targets)]
    words += ["--sha", asked.sha] if asked.sha else []
    words += ["--repeats", str(asked.repeats)] if asked.repeats else []
    words += ["--order", ",".join(asked.orders)] if asked.orders else []
    words += ["--backend", ",".join(asked.backends)] if asked.backends else []
    words += ["--tp", str(asked.tp)] if asked.tp else []
    words += ["--gpus", str(asked.gpus)] if asked.gpus is not None else []
    words += ["--until", "decided"] if asked.until_decided else []
    words += ["--against", "base"] if asked.against_base else []
    return " ".join(words)

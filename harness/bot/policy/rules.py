"""Why the bot refuses: each rule once, named in the answer and in docs/how-to/bot.md."""

from enum import StrEnum


class Rule(StrEnum):
    """The rule that a refusal names."""

    ACCESS = "access"
    ACTIVE = "active"
    AMBIGUOUS = "ambiguous"
    BASE = "base"
    BUDGET = "budget"
    CLOSED = "closed"
    COMMANDS = "commands"
    COOLDOWN = "cooldown"
    EDITED = "edited"
    FORK = "fork"
    GPUS = "gpus"
    GRAMMAR = "grammar"
    HARNESS_FOLDER = "harness-folder"
    HEAD = "head"
    NOT_FOUND = "not-found"
    POLICY = "policy"
    REPEATS = "repeats"
    SHA = "sha"
    SUITES = "suites"
    TP = "tp"
    TREE = "tree"


class RefusedError(Exception):
    """A command that is not carried out. `detail` quotes plain words alone."""

    def __init__(self, rule: Rule, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule
        self.detail = detail

"""`harness bot parse`: from a comment to a granted measurement, or to an answer.

It acknowledges first, reads and decides, writes the comment, and sets the outputs that start the
measuring job last: where anything fails before, nothing is started.
"""

import sys
from pathlib import Path

from harness.bot import comments
from harness.bot.context import Context
from harness.bot.control import cancel, status
from harness.bot.desk import Desk
from harness.bot.event import read_event
from harness.bot.github import GithubError
from harness.bot.grammar import (
    COMMAND,
    Cancel,
    Command,
    Help,
    Malformed,
    Measure,
    Status,
    parse_command,
)
from harness.bot.granting import grant
from harness.bot.hearing import Hearing, hear
from harness.bot.help import help_lines
from harness.bot.rules import RefusedError, Rule
from harness.core.errors import HarnessError
from harness.core.exits import ExitCode

_NO_COMMAND = "not a new command of a person on a pull request"
_ONCE = "this comment has been handled: a command is carried out once; write a new comment"

#: Refusals by these are a reaction and the job's summary, and no comment: who has no access cannot
#: make the bot write, nor can a comment that is gone.
_SILENT = (Rule.ACCESS, Rule.EDITED)


def parse(context: Context, policy_file: Path) -> int:
    """Handle the event. Returns the exit code: 0 for every answer that was given.

    Raises HarnessError where GitHub fails or the job is not set up; nothing is started then.
    """
    event = read_event(context.event)
    command = parse_command(event.comment.body or "") if event.is_new_by_a_person else None
    if command is None:
        return _end(context, _NO_COMMAND)
    if context.attempt > 1:
        return _end(context, _ONCE)
    with context.github() as github:
        desk = Desk(context, github, event)
        if not _acknowledged(desk):
            return _end(context, "the comment is gone")
        return _handle(desk, command, policy_file)


def _acknowledged(desk: Desk) -> bool:
    try:
        desk.github.react(desk.event.comment.id, "eyes")
    except GithubError as error:
        if error.status == 404:
            return False
        raise
    return True


def _handle(desk: Desk, command: Command, policy_file: Path) -> int:
    try:
        hearing = hear(desk, policy_file)
        if hearing is None:
            return _end(desk.context, _ONCE)
        _answer(desk, hearing, command)
    except RefusedError as refusal:
        _refuse(desk, refusal)
    except HarnessError as error:
        _give_up(desk, error)
        raise
    return ExitCode.OK


def _end(context: Context, why: str) -> int:
    """Nothing is measured and nothing is written for the commenter to see."""
    context.summarise(f"{COMMAND}: {why}.")
    context.put(action="none")
    sys.stderr.write(f"{why}\n")
    return ExitCode.OK


def _answer(desk: Desk, hearing: Hearing, command: Command) -> None:
    if isinstance(command, Measure):
        grant(desk, hearing, command)
        return
    desk.write(_said(desk, hearing, command))
    desk.context.put(action="none")


def _said(desk: Desk, hearing: Hearing, command: Help | Status | Cancel | Malformed) -> str:
    match command:
        case Malformed():
            raise RefusedError(Rule.GRAMMAR, command.reason)
        case Help():
            lines = help_lines(hearing.policy, hearing.grants)
            return comments.answered(desk.about, "help", lines)
        case Status():
            return comments.answered(desk.about, "status", status(desk, hearing))
        case Cancel():
            return comments.answered(desk.about, "cancel", cancel(desk, hearing))


def _refuse(desk: Desk, refusal: RefusedError) -> None:
    """Say why, by its rule."""
    body = comments.refused(desk.about, refusal)
    if refusal.rule in _SILENT:
        desk.context.summarise(body)
        if refusal.rule is Rule.ACCESS:
            desk.github.react(desk.event.comment.id, "-1")
    else:
        desk.write(body)
    desk.context.put(action="none")
    sys.stderr.write(f"refused by rule {refusal}\n")


def _give_up(desk: Desk, error: HarnessError) -> None:
    """Say where the answer is looked for that nothing was started.

    Where even that fails, the job's log and its status say it.
    """
    reason = f"The command was not carried out: {error}."
    body = comments.answered(desk.about, "failed", [reason, "Nothing was run."])
    try:
        desk.write(body)
    except GithubError as second:
        sys.stderr.write(f"{second}\n")

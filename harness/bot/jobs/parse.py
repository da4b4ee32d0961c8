"""`harness bot parse`: from a comment to a granted measurement, or to an answer.

It acknowledges first, reads and decides, writes the comment, and sets the outputs that start the
measuring job last: if anything fails before, nothing is started.
"""

import sys
from pathlib import Path

from harness.bot.command.grammar import parse_command
from harness.bot.command.requests import (
    COMMAND,
    Cancel,
    Command,
    Help,
    Malformed,
    Measure,
    Status,
)
from harness.bot.github.environment import JobEnvironment
from harness.bot.github.event import read_event
from harness.bot.github.transport import GithubError
from harness.bot.jobs.control import answer_status, cancel_measurements
from harness.bot.jobs.measurement import grant_measurement
from harness.bot.jobs.request_context import (
    AskerContext,
    RequestContext,
    identify_asker,
    read_request_context,
    was_answered_today,
)
from harness.bot.jobs.session import CommandSession
from harness.bot.policy.policy_file import read_policy
from harness.bot.policy.rules import RefusedError, Rule
from harness.bot.wording import replies
from harness.bot.wording.help import write_allowed, write_help, write_who_may
from harness.core.errors import HarnessError
from harness.core.exits import ExitCode

#: Refusals by these show what the asker's grants allow instead.
_OF_GRANTS = (Rule.GPUS, Rule.NOT_FOUND, Rule.REPEATS, Rule.SUITES)


def parse_comment(environment: JobEnvironment, policy_file: Path) -> int:
    """Handle the event. Return the exit code: 0 for every answer that was given.

    Raise HarnessError if GitHub fails or the job is not set up; nothing is started then.
    """
    event = read_event(environment.event)
    command = parse_command(event.comment.body or "") if event.is_new_by_a_person else None
    if command is None:
        return _end_silently(environment, replies.NO_COMMAND)
    if environment.attempt > 1:
        return _end_silently(environment, replies.HANDLED)
    with environment.open_repository() as github:
        session = CommandSession(environment, github, event)
        if not _acknowledge(session):
            return _end_silently(environment, replies.COMMENT_GONE)
        return _handle(session, command, policy_file)


def _acknowledge(session: CommandSession) -> bool:
    """React to the comment. Return False if it is gone."""
    try:
        session.github.add_reaction(session.event.comment.id, "eyes")
    except GithubError as error:
        if error.status == 404:
            return False
        raise
    return True


def _handle(session: CommandSession, command: Command, policy_file: Path) -> int:
    asker = _identify(session, policy_file)
    if asker is None:
        return ExitCode.OK
    try:
        context = read_request_context(session, asker)
        if context is None:
            return _end_silently(session.environment, replies.HANDLED)
        _carry_out(session, context, command)
    except RefusedError as refusal:
        _refuse(session, asker, refusal)
    except HarnessError as error:
        _give_up(session, error)
        raise
    return ExitCode.OK


def _identify(session: CommandSession, policy_file: Path) -> AskerContext | None:
    """Return who asks, None if they have no grant, which they are told once a day.

    If GitHub fails here, only a reaction says so: the asker may be anybody.
    """
    try:
        return identify_asker(session, policy_file)
    except RefusedError as refusal:
        _refuse_access(session, refusal, policy_file)
        return None
    except HarnessError as error:
        session.environment.append_summary(replies.write_failure(session.details, str(error)))
        _react(session, "confused")
        raise


def _end_silently(environment: JobEnvironment, why: str) -> int:
    """Measure nothing and write nothing that the commenter sees."""
    environment.append_summary(f"{COMMAND}: {why}.")
    environment.set_outputs(action="none")
    sys.stderr.write(f"{why}\n")
    return ExitCode.OK


def _carry_out(session: CommandSession, context: RequestContext, command: Command) -> None:
    match command:
        case Measure():
            grant_measurement(session, context, command)
            return
        case Malformed():
            raise RefusedError(Rule.GRAMMAR, command.reason)
        case Help():
            lines = write_help(context.policy, context.grants)
            session.answer(replies.write_answer(session.details, "help", lines))
        case Status():
            answer_status(session, context)
        case Cancel():
            cancel_measurements(session, context)
    session.environment.set_outputs(action="none")


def _refuse_access(session: CommandSession, refusal: RefusedError, policy_file: Path) -> None:
    """Say that there is no grant, in a comment at most once per person and day."""
    knows_why = refusal.rule is Rule.POLICY
    allowed = [] if knows_why else _describe_who_may(policy_file)
    body = replies.write_refusal(session.details, refusal, allowed)
    if knows_why or (allowed and not was_answered_today(session)):
        session.answer(body)
    else:
        session.environment.append_summary(body)
    _end_refused(session, refusal)


def _describe_who_may(policy_file: Path) -> list[str]:
    """Return who has a grant; nothing if the policy is broken, which is not for strangers."""
    try:
        return write_who_may(read_policy(policy_file))
    except HarnessError:
        return []


def _refuse(session: CommandSession, asker: AskerContext, refusal: RefusedError) -> None:
    """Say by which rule the command is refused, and what would be allowed."""
    allowed = write_allowed(asker.grants) if refusal.rule in _OF_GRANTS else []
    body = replies.write_refusal(session.details, refusal, allowed)
    if refusal.rule is Rule.EDITED:  # the comment may be gone, and with it the place to answer
        session.environment.append_summary(body)
    else:
        session.answer(body)
    _end_refused(session, refusal)


def _end_refused(session: CommandSession, refusal: RefusedError) -> None:
    _react(session, "-1")
    session.environment.set_outputs(action="none")
    sys.stderr.write(f"refused by rule {refusal}\n")


def _react(session: CommandSession, content: str) -> None:
    """Add the reaction that ends a command. If it fails, the comment and the log say the same."""
    try:
        session.github.add_reaction(session.event.comment.id, content)
    except GithubError as error:
        sys.stderr.write(f"{error}\n")


def _give_up(session: CommandSession, error: HarnessError) -> None:
    """Say in the comment that nothing was started.

    If even that fails, the job's log and its status say it.
    """
    try:
        session.answer(replies.write_failure(session.details, str(error)))
    except GithubError as second:
        sys.stderr.write(f"{second}\n")

"""`harness bot watch`: says in the comment where a granted measurement stands until it runs.

A job of the default branch's code beside the measuring job, which holds no token that could write.
It ends when the measurement runs, or after two hours; the publishing job waits for it, so the two
never write over each other.
"""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from harness.bot.github.client import ACTIVE
from harness.bot.github.environment import JobEnvironment
from harness.bot.github.event import read_event
from harness.bot.github.history import parse_run_name, read_measurement
from harness.bot.github.transport import GithubError
from harness.bot.jobs.comments import find_answer
from harness.bot.jobs.request_context import EVENT
from harness.bot.jobs.session import CommandSession
from harness.bot.policy.usage import WINDOW, PastCommand, PastMeasurement
from harness.bot.wording import replies
from harness.core.errors import UsageError
from harness.core.exits import ExitCode

POLL_S = 30.0
LONGEST = timedelta(hours=2)
#: The place in the queue takes a request per measurement in it: it is read every tenth time.
_PLACE_EVERY = 10


@dataclass(frozen=True, slots=True)
class WatchedGrant:
    """What the parsing job granted."""

    gpus: int
    minutes: int


def read_grant(environment: Mapping[str, str]) -> WatchedGrant:
    """Read it. Raise UsageError that names the variable."""

    def read_number(name: str) -> int:
        value = environment.get(name, "")
        if not (value.isascii() and value.isdigit()):
            raise UsageError(f"{name} is not a number")
        return int(value)

    return WatchedGrant(read_number("GPUS"), read_number("MINUTES"))


def watch_measurement(
    environment: JobEnvironment, grant: WatchedGrant, sleep: Callable[[float], None] = time.sleep
) -> int:
    """Keep the comment's state true until the measurement runs. Return the exit code.

    A poll that GitHub fails is left out. Raise UsageError if this is no job of a comment.
    """
    event = read_event(environment.event)
    polls = int(LONGEST.total_seconds() / POLL_S)
    with environment.open_repository() as github:
        session = CommandSession(environment, github, event)
        for poll in range(polls):
            try:
                if _update(session, grant, with_place=poll % _PLACE_EVERY == 0):
                    break
            except GithubError as error:
                sys.stderr.write(f"{error}\n")
            sleep(POLL_S)
    return ExitCode.OK


def _update(session: CommandSession, grant: WatchedGrant, with_place: bool) -> bool:
    """Write the state as it is now. Return whether the measurement runs or has ended."""
    own = _read_own(session)
    minutes = timedelta(minutes=grant.minutes)
    if own.started:
        ends = own.started + minutes
        _write_state(session, replies.write_running_line(own.started, own.job_url or "", ends))
        return True
    if own.is_active and with_place:
        ahead = _list_ahead(session, grant)
        wait = sum((_find_longest(one) for one in ahead), timedelta())
        ends = datetime.now(UTC) + wait + minutes
        _write_state(session, replies.write_waiting_line(len(ahead), ends))
    return not own.is_active


def _read_own(session: CommandSession) -> PastMeasurement:
    run, comment = session.environment.workflow_run, session.event.comment
    command = PastCommand(
        run, session.pull_request, session.login, comment.id, True, comment.created_at
    )
    return read_measurement(command, session.github.list_jobs(run), 0)


def _list_ahead(session: CommandSession, grant: WatchedGrant) -> list[PastMeasurement]:
    """Return earlier measurements that wait or run on runners of this kind."""
    here, github = session.environment, session.github
    since = datetime.now(UTC) - WINDOW
    runs = github.list_workflow_runs(here.workflow, EVENT, since, ACTIVE)
    earlier = [run for run in runs if run.id < here.workflow_run]
    commands = [command for run in earlier if (command := parse_run_name(run))]
    measured = [read_measurement(one, github.list_jobs(one.workflow_run), 0) for one in commands]
    return [one for one in measured if one.is_active and one.gpus == grant.gpus]


def _find_longest(one: PastMeasurement) -> timedelta:
    """Return how long a measurement may still take."""
    whole = timedelta(minutes=one.gpu_minutes / max(one.gpus or 0, 1))
    spent = datetime.now(UTC) - one.started if one.started else timedelta()
    return max(whole - spent, timedelta())


def _write_state(session: CommandSession, line: str) -> None:
    comment = session.event.comment
    found = find_answer(session.github, session.pull_request, comment.id, comment.created_at)
    body = replies.replace_state(found.body or "", line) if found else None
    if found and body and body != found.body:
        session.github.edit_comment(found.id, body)

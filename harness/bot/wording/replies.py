"""The comment that answers a command, state by state. Pure: values in, Markdown out.

Its second line is the state and is rewritten alone while a measurement waits or runs. Nothing here
is ever green: a state that is not a result says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from harness.bot.command.requests import COMMAND
from harness.bot.policy.access import Terms
from harness.bot.policy.rules import RefusedError

#: GitHub's limit, in characters.
LIMIT = 65_536

NO_COMMAND = "not a new command of a person on a pull request"
HANDLED = "this comment has been handled: a command is carried out once; write a new comment"
COMMENT_GONE = "the comment is gone"
NOTHING_ACTIVE = "Nothing waits or runs for this pull request."
PARSE_FAILED = "The command was not carried out; the workflow run's log says why."

_PENDING = ("queued", "running")


@dataclass(frozen=True, slots=True)
class CommandDetails:
    """What every state of one command's comment tells."""

    comment: int
    """Id of the comment that holds the command."""
    login: str
    run_url: str
    command: str = ""
    """The command as understood, printable ASCII."""
    sha: str = ""
    base: str = ""


def format_marker(comment: int) -> str:
    """Return what the bot finds its answer to a comment by."""
    return f"<!-- harness-rerun-test comment={comment} -->"


def write_queued(details: CommandDetails, terms: Terms) -> str:
    """Write that the command is granted and waits for a runner."""
    where = f"{terms.gpus} GPUs" if terms.gpus else "a CPU runner (recorded graphs)"
    way = (
        f"At most {terms.minutes} minutes on {where}. [The workflow run]({details.run_url}) shows "
        f"when it starts, and its log live counts; `{COMMAND} status` brings this comment up to "
        f"date, `{COMMAND} cancel` ends it."
    )
    return write_answer(details, "queued", [way, "Nothing is known about the tests yet."])


def write_running_line(since: datetime | None, job_url: str) -> str:
    """Write the state's line of a measurement that runs."""
    when = f" since {since:%H:%M} UTC" if since else ""
    return _write_state(f"running{when}, [live counts in its log]({job_url}); no result yet")


def write_running_item(login: str, job_url: str) -> str:
    """Write the list item of a measurement that runs."""
    return f"- {login}: running, [its log]({job_url})"


def write_waiting_item(login: str) -> str:
    """Write the list item of a measurement that waits."""
    return f"- {login}: waits for a runner"


def write_cancelled_item(login: str) -> str:
    """Write the list item of a measurement that was just cancelled."""
    return f"- {login}: being cancelled; its comment will say what it had"


def write_left_alone_item(login: str) -> str:
    """Write the list item of a measurement that the asker may not cancel."""
    return f"- {login}: left alone, since that takes role write"


def replace_state(body: str, line: str) -> str | None:
    """Return the comment with another state, None if its state is not a waiting or running one."""
    first, _, rest = body.partition("\n")
    state, _, rest = rest.partition("\n")
    if not any(state.startswith(_write_state(pending)) for pending in _PENDING):
        return None
    return "\n".join((first, line, rest))


def write_refusal(
    details: CommandDetails, refusal: RefusedError, allowed: Sequence[str] = ()
) -> str:
    """Write that the command is not carried out, by which rule, and what would be allowed."""
    lines = [f"{refusal.detail}.", *allowed]
    lines += [f"Nothing was run. `{COMMAND} help` shows the command."]
    return write_answer(details, f"refused by rule `{refusal.rule}`", lines)


def write_failure(details: CommandDetails, error: str) -> str:
    """Write that the bot itself failed, and that nothing was started."""
    reason = f"The command was not carried out: {error}."
    return write_answer(details, "failed", [reason, "Nothing was run."])


def write_answer(details: CommandDetails, state: str, lines: Sequence[str]) -> str:
    """Write any answer: its state, paragraphs, and who asked for what."""
    parts = [f"{format_marker(details.comment)}\n{_write_state(state)}", *lines]
    facts = [f"asked by {details.login}"]
    facts += [f"`{details.command}`"] if details.command else []
    facts += [f"commit {details.sha}"] if details.sha else []
    facts += [f"base {details.base}"] if details.base else []
    facts += [f"[workflow run]({details.run_url})"]
    return "\n\n".join([*(part for part in parts if part), f"<sub>{' · '.join(facts)}</sub>"])


def write_done(details: CommandDetails, report: str, notes: Sequence[str]) -> str:
    """Write a whole result: the report, whose first words are the verdict."""
    return write_answer(details, "done", [report, *notes])


@dataclass(frozen=True, slots=True)
class Ending:
    """How a measurement ended, in words."""

    state: str
    """`done`, `failed`, `failed for infrastructure`, `cancelled`, `timed out`."""
    reason: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether the whole result is there."""
        return self.state == "done"


def write_unmeasured(
    details: CommandDetails, ending: Ending, report: str, notes: Sequence[str]
) -> str:
    """Write that a measurement ended without its whole result.

    report: what was measured until then; empty if nothing is known.
    """
    partial = report or "Nothing was measured: this says nothing about the tests."
    return write_answer(details, ending.state, [ending.reason, partial, *notes])


def write_head_note(head: str | None, sha: str) -> list[str]:
    """Write whether what was measured is still the head; head: None if it could not be read."""
    if head is None:
        return ["Whether the head has moved since could not be read."]
    if head == sha:
        return []
    return [
        f"**The head is now {head}: this is of {sha} and says nothing about the newer commits.**"
    ]


def _write_state(text: str) -> str:
    return f"### {COMMAND}: {text}"

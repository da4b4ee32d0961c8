"""The comment that answers a command, state by state. Pure: values in, Markdown out.

Its second line is the state and is rewritten alone while a measurement waits or runs. Nothing here
is ever green: a state that is not a result says so.
"""

import re
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
INCOMPLETE = "The run owes attempts that could not be made: {}."

_PENDING = ("queued", "running")
_ATTEMPT = re.compile(r"([0-9a-z]{1,32})\.\d{1,9}")
_ENDS = re.compile(
    r"<!-- harness-rerun-test comment=(\d{1,20}) by=([A-Za-z0-9_-]{1,64}) ends=([\d,]+) -->"
)


@dataclass(frozen=True, slots=True)
class CommandDetails:
    """What every state of one command's comment tells."""

    comment: int
    """Id of the comment that holds the command."""
    login: str
    run_url: str
    command: str = ""
    """The command as understood, with the commit that it measures, printable ASCII."""
    base: str = ""
    ends: tuple[int, ...] = ()
    """Workflow runs that this command ends."""


def format_marker(comment: int) -> str:
    """Return how the bot's answer to a comment begins: what the answer is found by."""
    return f"<!-- harness-rerun-test comment={comment} "


def format_notice_marker(comment: int) -> str:
    """Return how the notice that a command has ended begins."""
    return f"<!-- harness-rerun-test notice={comment} "


@dataclass(frozen=True, slots=True)
class Ender:
    """The command that ended a measurement."""

    comment: int
    login: str


def find_ender(body: str, workflow_run: int) -> Ender | None:
    """Return the command whose answer this is, if it ended this workflow run."""
    found = _ENDS.match(body)
    if found and str(workflow_run) in found[3].split(","):
        return Ender(int(found[1]), found[2])
    return None


def write_queued(details: CommandDetails, terms: Terms, expected: Sequence[str] = ()) -> str:
    """Write that the command is granted and waits for a runner, and what it is expected to take."""
    where = f"{terms.gpus} GPUs" if terms.gpus else "a CPU runner (recorded graphs)"
    way = (
        f"At most {terms.minutes} minutes on {where}. The line above says when it starts, and you "
        f"are mentioned when it ends; `{COMMAND} cancel` ends it now."
    )
    unknown = "Nothing is known about the tests yet."
    return write_answer(details, "queued", [" ".join(expected), way, unknown])


def write_running_line(since: datetime, job_url: str, ends: datetime) -> str:
    """Write the state's line of a measurement that runs. ends: when at the latest."""
    return _write_state(
        f"running since {since:%H:%M} UTC, ends by {ends:%H:%M} UTC at the latest, "
        f"[live counts in its log]({job_url}); no result yet"
    )


def write_waiting_line(ahead: int, ends: datetime) -> str:
    """Write the state's line of a measurement that waits, with as many before it."""
    before = f"{ahead} before it" if ahead else "next"
    return _write_state(
        f"queued, {before} on runners of its kind; with one such runner it ends by "
        f"{ends:%H:%M} UTC at the latest"
    )


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


def is_pending(body: str) -> bool:
    """Whether a comment says that its command waits or runs."""
    state = body.partition("\n")[2]
    return any(state.startswith(_write_state(pending)) for pending in _PENDING)


def replace_state(body: str, line: str) -> str | None:
    """Return the comment with another state, None if its state is not a waiting or running one."""
    first, _, rest = body.partition("\n")
    if not is_pending(body):
        return None
    return "\n".join((first, line, rest.partition("\n")[2]))


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
    parts = [f"{_write_first_line(details)}\n{_write_state(state)}", *lines]
    facts = [f"asked by {details.login}"]
    facts += [f"`{details.command}`"] if details.command else []
    facts += [f"base {details.base}"] if details.base else []
    facts += [f"[workflow run]({details.run_url})"]
    return "\n\n".join([*(part for part in parts if part), f"<sub>{' · '.join(facts)}</sub>"])


def _write_first_line(details: CommandDetails) -> str:
    ends = f"by={details.login} ends={','.join(map(str, details.ends))} " if details.ends else ""
    return f"{format_marker(details.comment)}{ends}-->"


def write_done(details: CommandDetails, report: str, notes: Sequence[str]) -> str:
    """Write a whole result: the report, whose first words are the verdict."""
    return write_answer(details, "done", [_demote_heading(report), *notes])


def _demote_heading(report: str) -> str:
    """Return a report whose first line is bold: the state is the comment's one heading."""
    first, _, rest = report.partition("\n")
    return "\n".join((f"**{first.removeprefix('### ')}**", rest)) if first else ""


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
    nothing = "Nothing was measured: this says nothing about the tests."
    partial = _demote_heading(report) if report else nothing
    return write_answer(details, ending.state, [ending.reason, partial, *notes])


def write_head_note(head: str | None, sha: str) -> list[str]:
    """Write whether what was measured is still the head; head: None if it could not be read."""
    if head is None:
        return ["Whether the head has moved since could not be read."]
    if head == sha:
        return []
    return [
        f"**The head is now {head}: this is of an older commit and says nothing about newer ones.**"
    ]


def write_notice(details: CommandDetails, state: str, headline: str, answer_url: str) -> str:
    """Write the comment that tells the asker of the end. A mention in it notifies them.

    headline: the verdict in one line; empty if there is no result.
    """
    told = f": {headline}" if headline else ""
    marker = f"{format_notice_marker(details.comment)}-->"
    return f"{marker}\n@{details.login} `{COMMAND}` {state}{told} ([report]({answer_url}))"


def write_cancelled(ender: Ender | None, ender_url: str) -> str:
    """Write that a measurement was cancelled, and by whom as far as it is known."""
    if ender is None:
        return (
            "The measurement was cancelled: on the workflow run's page, or by GitHub, as a later "
            "command took its place in the queue."
        )
    return f"The measurement was cancelled by {ender.login}'s [command]({ender_url})."


def write_check_name(comment: int) -> str:
    """Return the name of the check run of a command, one for each."""
    return f"{COMMAND.removeprefix('/')} {comment}"


def split_attempt(attempt: str) -> tuple[str, str] | None:
    """Return an attempt's run and its id; None if it is not of the harness's form."""
    found = _ATTEMPT.fullmatch(attempt)
    return (found[1], attempt) if found else None


def write_logs(artifact_url: str, attempts: Sequence[tuple[str, str]]) -> list[str]:
    """Write how to get to the HTML report, from each failure signature to its log, and to the same
    attempt again.

    attempts: pairs of a run's and an attempt's id, one per signature.
    """
    download = f"[download the run's folder]({artifact_url}) and unpack it"
    if not attempts:
        return [f"**Pictures**: {download}; `report.html` in it opens in a browser."]
    rows = [
        f"- `runs/{run}/{attempt}/` · `harness rerun {attempt} --store store.sqlite`"
        for run, attempt in attempts
    ]
    head = (
        f"**Logs and pictures**: {download}. `report.html` in it opens in a browser; an attempt of "
        "each signature, and what runs it again from there:"
    )
    return ["\n".join([head, *rows])]


def _write_state(text: str) -> str:
    return f"### {COMMAND}: {text}"

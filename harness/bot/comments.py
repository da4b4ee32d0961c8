"""The sticky comment of a command, state by state. Pure: values in, Markdown out.

Its second line is the state and is rewritten alone while a measurement waits or runs. Nothing here
is ever green: a state that is not a result says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from harness.bot.access import Terms
from harness.bot.grammar import COMMAND
from harness.bot.rules import RefusedError

#: GitHub's limit, in characters.
LIMIT = 65_536

_PENDING = ("queued", "running")


@dataclass(frozen=True, slots=True)
class About:
    """What every state of one command's comment tells."""

    comment: int
    """Id of the comment that holds the command."""
    login: str
    run_url: str
    command: str = ""
    """The command as understood, plain."""
    sha: str = ""
    base: str = ""


def marker(comment: int) -> str:
    """What the bot finds its answer to a comment by."""
    return f"<!-- harness-rerun-test comment={comment} -->"


def queued(about: About, terms: Terms) -> str:
    """Granted, and waiting for a runner."""
    where = f"{terms.gpus} GPUs" if terms.gpus else "a CPU runner (recorded graphs)"
    way = (
        f"At most {terms.minutes} minutes on {where}. [The workflow run]({about.run_url}) shows "
        f"when it starts, and its log live counts; `{COMMAND} status` brings this comment up to "
        f"date, `{COMMAND} cancel` ends it."
    )
    return _body(about, "queued", [way, "Nothing is known about the tests yet."])


def running_line(since: datetime | None, job_url: str) -> str:
    """The state's line of a measurement that runs."""
    when = f" since {since:%H:%M} UTC" if since else ""
    return _state(f"running{when}, [live counts in its log]({job_url}); no result yet")


def restated(body: str, line: str) -> str | None:
    """The comment with another state; None where its state is not a waiting or running one."""
    first, _, rest = body.partition("\n")
    state, _, rest = rest.partition("\n")
    if not any(state.startswith(_state(pending)) for pending in _PENDING):
        return None
    return "\n".join((first, line, rest))


def refused(about: About, refusal: RefusedError) -> str:
    """Not carried out, by which rule."""
    return _body(
        about,
        f"refused by rule `{refusal.rule}`",
        [f"{refusal.detail}.", f"Nothing was run. `{COMMAND} help` shows the command."],
    )


def answered(about: About, state: str, lines: Sequence[str]) -> str:
    """Any answer that is not about a measurement of its own."""
    return _body(about, state, lines)


def done(about: About, report: str, notes: Sequence[str]) -> str:
    """Measured: the report, whose first words are the verdict."""
    return _body(about, "done", [report, *notes])


def unmeasured(about: About, state: str, reason: str, report: str, notes: Sequence[str]) -> str:
    """Ended without its whole result: failed for infrastructure, cancelled, timed out.

    report: what was measured until then; empty where nothing is known.
    """
    partial = report or "Nothing was measured: this says nothing about the tests."
    return _body(about, state, [reason, partial, *notes])


def _state(text: str) -> str:
    return f"### {COMMAND}: {text}"


def _body(about: About, state: str, lines: Sequence[str]) -> str:
    parts = [f"{marker(about.comment)}\n{_state(state)}", *lines]
    details = [f"asked by {about.login}"]
    details += [f"`{about.command}`"] if about.command else []
    details += [f"commit {about.sha}"] if about.sha else []
    details += [f"base {about.base}"] if about.base else []
    details += [f"[workflow run]({about.run_url})"]
    return "\n\n".join([*(part for part in parts if part), f"<sub>{' · '.join(details)}</sub>"])

"""`status` and `cancel`: what still waits or runs for a pull request."""

from harness.bot.github.history import read_measurement
from harness.bot.jobs.comments import find_answer
from harness.bot.jobs.request_context import RequestContext
from harness.bot.jobs.session import CommandSession
from harness.bot.policy.usage import WINDOW, PastCommand
from harness.bot.wording import replies


def update_status(session: CommandSession, context: RequestContext) -> list[str]:
    """Return what waits or runs here, and bring those commands' comments up to date."""
    lines = []
    for command in context.active:
        found = read_measurement(command, session.github.list_jobs(command.workflow_run), 0)
        if found.started and found.job_url:
            lines.append(f"- {command.login}: running, [its log]({found.job_url})")
            line = replies.write_running_line(found.started, found.job_url)
            _replace_state(session, command, line)
        else:
            lines.append(f"- {command.login}: waits for a runner")
    return ["\n".join(lines) or replies.NOTHING_ACTIVE]


def _replace_state(session: CommandSession, command: PastCommand, line: str) -> None:
    since = command.created - WINDOW
    found = find_answer(session.github, session.pull_request, command.comment, since)
    body = replies.replace_state(found.body or "", line) if found else None
    if found and body:
        session.github.edit_comment(found.id, body)


def cancel_measurements(session: CommandSession, context: RequestContext) -> list[str]:
    """End the asker's own measurements here; with role write those of others too."""
    lines = []
    for command in context.active:
        if command.login == session.login or context.asker.has("write"):
            session.github.cancel_workflow_run(command.workflow_run)
            lines.append(f"- {command.login}: being cancelled; its comment will say what it had")
        else:
            lines.append(f"- {command.login}: left alone, since that takes role write")
    return ["\n".join(lines) or replies.NOTHING_ACTIVE]

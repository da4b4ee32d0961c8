"""`status` and `cancel`: what still waits or runs for a pull request."""

from harness.bot.jobs.request_context import RequestContext
from harness.bot.jobs.session import CommandSession
from harness.bot.wording import replies


def write_status(session: CommandSession, context: RequestContext) -> list[str]:
    """Return what waits or runs here."""
    active = context.list_active(session)
    lines = [
        replies.write_running_item(one.command.login, one.job_url)
        if one.started and one.job_url
        else replies.write_waiting_item(one.command.login)
        for one in active
    ]
    return ["\n".join(lines) or replies.NOTHING_ACTIVE]


def cancel_measurements(session: CommandSession, context: RequestContext) -> list[str]:
    """End the asker's own measurements here; with role write those of others too."""
    lines = []
    for one in context.list_active(session):
        command = one.command
        if command.login == session.login or context.asker.has("write"):
            session.github.cancel_workflow_run(command.workflow_run)
            lines.append(replies.write_cancelled_item(command.login))
        else:
            lines.append(replies.write_left_alone_item(command.login))
    return ["\n".join(lines) or replies.NOTHING_ACTIVE]

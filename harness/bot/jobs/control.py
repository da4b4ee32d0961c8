"""`status` and `cancel`: what still waits or runs for a pull request."""

from dataclasses import replace

from harness.bot.jobs.request_context import RequestContext
from harness.bot.jobs.session import CommandSession
from harness.bot.wording import replies


def answer_status(session: CommandSession, context: RequestContext) -> None:
    """Say what waits or runs here. No other comment is touched: a result may be written now."""
    lines = [
        replies.write_running_item(one.command.login, one.job_url)
        if one.started and one.job_url
        else replies.write_waiting_item(one.command.login)
        for one in context.list_active(session)
    ]
    text = "\n".join(lines) or replies.NOTHING_ACTIVE
    session.answer(replies.write_answer(session.details, "status", [text]))


def cancel_measurements(session: CommandSession, context: RequestContext) -> None:
    """End the asker's own measurements here; with role write those of others too.

    The answer is written first: what ended a measurement is read from it.
    """
    active = [one.command for one in context.list_active(session)]
    may_all = context.asker.has("write")
    ended = [one for one in active if may_all or one.login == session.login]
    lines = [
        replies.write_cancelled_item(one.login)
        if one in ended
        else replies.write_left_alone_item(one.login)
        for one in active
    ]
    details = replace(session.details, ends=tuple(one.workflow_run for one in ended))
    text = "\n".join(lines) or replies.NOTHING_ACTIVE
    session.answer(replies.write_answer(details, "cancel", [text]))
    for one in ended:
        session.github.cancel_workflow_run(one.workflow_run)

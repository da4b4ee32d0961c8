"""`status` and `cancel`: what still waits or runs for a pull request."""

from harness.bot import comments
from harness.bot.desk import Desk
from harness.bot.hearing import Hearing
from harness.bot.state import WINDOW, Asked, measured_of
from harness.bot.sticky import find

_NOTHING = "Nothing waits or runs for this pull request."


def status(desk: Desk, hearing: Hearing) -> list[str]:
    """What waits or runs here; their own comments are brought up to date."""
    lines = []
    for asked in hearing.active:
        found = measured_of(asked, desk.github.jobs(asked.run), 0)
        if found.started and found.job_url:
            lines.append(f"- {asked.login}: running, [its log]({found.job_url})")
            _restate(desk, asked, comments.running_line(found.started, found.job_url))
        else:
            lines.append(f"- {asked.login}: waits for a runner")
    return ["\n".join(lines) or _NOTHING]


def _restate(desk: Desk, asked: Asked, line: str) -> None:
    found = find(desk.github, desk.pull, asked.comment, asked.created - WINDOW)
    body = comments.restated(found.body or "", line) if found else None
    if found and body:
        desk.github.edit_comment(found.id, body)


def cancel(desk: Desk, hearing: Hearing) -> list[str]:
    """End one's own measurements here; with role write those of others too."""
    lines = []
    for asked in hearing.active:
        if asked.login == desk.login or hearing.asker.has("write"):
            desk.github.cancel(asked.run)
            lines.append(f"- {asked.login}: being cancelled; its comment will say what it had")
        else:
            lines.append(f"- {asked.login}: left alone, since that takes role write")
    return ["\n".join(lines) or _NOTHING]

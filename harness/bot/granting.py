"""A measurement that was asked for: checked, granted, announced, and handed to the next job."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from harness.bot import access, comments
from harness.bot.access import Terms
from harness.bot.arguments import arguments_of
from harness.bot.desk import Desk
from harness.bot.grammar import Measure, Target, command_text
from harness.bot.hearing import Hearing
from harness.bot.policy import Share
from harness.bot.rules import RefusedError, Rule
from harness.bot.shapes import Pull
from harness.bot.state import Measured, measured_of, usage_of

#: What the measuring job may take beside the measurement, to install and to upload.
SET_UP_MIN = 20


@dataclass(frozen=True, slots=True)
class _Granted:
    """What is going to be measured."""

    targets: tuple[Target, ...]
    terms: Terms
    sha: str
    base: str


def grant(desk: Desk, hearing: Hearing, asked: Measure) -> None:
    """Grant a measurement and set the outputs that start it.

    Raises RefusedError, and GithubError, after which nothing is started: outputs are set last.
    """
    if hearing.pull.state != "open":
        raise RefusedError(Rule.CLOSED, "the pull request is closed")
    access.check_fork(hearing.asker, asked, hearing.pull.is_fork)
    granted = _granted(desk, hearing, asked)
    # A person's newer command takes the place of their older one.
    replaced = [one.run for one in hearing.active if one.login == desk.login]
    _check_usage(desk, hearing, granted.terms, replaced)
    comment = _announce(desk, asked, granted)
    for run in replaced:
        desk.github.cancel(run)
    _hand_over(desk, asked, granted, comment)


def _granted(desk: Desk, hearing: Hearing, asked: Measure) -> _Granted:
    sha = _commit(desk, hearing.pull, asked)
    targets = access.resolve(asked.targets, desk.github.tree(sha), hearing.grants)
    terms = access.terms_for(hearing.policy, hearing.grants, asked, targets)
    base = _base(desk, hearing.pull, sha) if asked.against_base else ""
    return _Granted(targets, terms, sha, base)


def _commit(desk: Desk, pull: Pull, asked: Measure) -> str:
    """The commit to measure, resolved once; everything after uses its full name."""
    if asked.sha:
        access.check_named(asked.sha, desk.github.commits(pull.number))
        return asked.sha
    seen = desk.github.first_seen(pull.head.sha, pull.head.ref)
    access.check_head(seen, desk.event.comment.created_at)
    return pull.head.sha


def _base(desk: Desk, pull: Pull, sha: str) -> str:
    base = desk.github.merge_base(pull.base.sha, sha)
    access.check_base(base, sha)
    return base


def _check_usage(desk: Desk, hearing: Hearing, terms: Terms, replaced: list[int]) -> None:
    limits = hearing.policy.limits
    reserve = max(max(map(int, hearing.policy.runners)), 1) * limits.minutes
    measured = [measured_of(one, desk.github.jobs(one.run), reserve) for one in hearing.earlier]
    now = datetime.now(UTC)

    def check(share: Share, whose: str, counted: list[Measured]) -> None:
        access.check_usage(share, usage_of(counted, replaced), terms, now, whose)

    check(limits.user, desk.login, [m for m in measured if m.asked.login == desk.login])
    here = [m for m in measured if m.asked.pull == desk.pull]
    check(limits.pull_request, f"pull request #{desk.pull}", here)


def _announce(desk: Desk, asked: Measure, granted: _Granted) -> int:
    command = command_text(replace(asked, sha=granted.sha))
    about = replace(desk.about, command=command, sha=granted.sha, base=granted.base)
    return desk.write(comments.queued(about, granted.terms))


def _hand_over(desk: Desk, asked: Measure, granted: _Granted, comment: int) -> None:
    terms = granted.terms
    words = arguments_of(asked, granted.targets, terms, granted.sha, granted.base)
    desk.context.put(
        action="measure",
        sha=granted.sha,
        base=granted.base,
        arguments="\n".join(words),
        gpus=str(terms.gpus),
        minutes=str(terms.minutes),
        deadline=str(terms.minutes + SET_UP_MIN),
        runner=json.dumps(terms.runner),
        comment=str(comment),
    )

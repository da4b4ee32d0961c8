"""A measurement that was asked for: checked, granted, announced, and handed to the next job."""

import json
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from harness.bot.command.requests import Measure, Target, format_command
from harness.bot.github.shapes import GitTree, PullRequest
from harness.bot.jobs.arguments import build_arguments
from harness.bot.jobs.forecast import find_forecast
from harness.bot.jobs.request_context import RequestContext, read_measurements
from harness.bot.jobs.session import CommandSession
from harness.bot.policy import access
from harness.bot.policy.access import Terms
from harness.bot.policy.policy_file import Quota
from harness.bot.policy.rules import RefusedError, Rule
from harness.bot.policy.usage import PastMeasurement, sum_usage
from harness.bot.wording import replies
from harness.bot.wording.forecast import write_forecast

#: What the measuring job may take beside the measurement, to install and to upload.
SET_UP_MIN = 20
_SEEDS = 2**31


@dataclass(frozen=True, slots=True)
class _GrantedMeasurement:
    """What is going to be measured."""

    targets: tuple[Target, ...]
    terms: Terms
    sha: str
    base: str


def grant_measurement(session: CommandSession, context: RequestContext, asked: Measure) -> None:
    """Grant a measurement and set the outputs that start it.

    Raise RefusedError or GithubError, after which nothing is started: outputs are set last.
    """
    if context.pull_request.state != "open":
        raise RefusedError(Rule.CLOSED, "the pull request is closed")
    access.check_fork(context.asker, asked, context.pull_request.is_fork)
    granted = _decide(session, context, asked)
    replaced = _check_usage(session, context, granted.terms)
    comment = _announce(session, asked, granted, replaced)
    for run in replaced:
        session.github.cancel_workflow_run(run)
    _hand_over(session, asked, granted, comment)


def _decide(
    session: CommandSession, context: RequestContext, asked: Measure
) -> _GrantedMeasurement:
    sha = _resolve_commit(session, context.pull_request, asked)
    tree = _read_tree(session, sha)
    targets = access.resolve_targets(asked.targets, tree.plain_files, context.grants)
    terms = access.decide_terms(context.policy, context.grants, asked, targets)
    base = _find_base(session, context.pull_request, sha) if asked.against_base else ""
    if base:
        _read_tree(session, base)
    return _GrantedMeasurement(targets, terms, sha, base)


def _read_tree(session: CommandSession, sha: str) -> GitTree:
    """Return a commit's files, none of which the harness would take for its own."""
    tree = session.github.read_tree(sha)
    access.check_tree(tree.truncated)
    access.check_state_folder(tree.paths)
    return tree


def _resolve_commit(session: CommandSession, pull_request: PullRequest, asked: Measure) -> str:
    """Return the commit to measure. It is resolved once; later steps use its full name."""
    if asked.sha:
        return access.resolve_sha(asked.sha, session.github.list_commits(pull_request.number))
    head = pull_request.head
    push = session.github.find_last_push(head.ref)
    last = (push.after, push.timestamp) if push else None
    access.check_head(head.sha, last, session.event.comment.created_at)
    return head.sha


def _find_base(session: CommandSession, pull_request: PullRequest, sha: str) -> str:
    base = session.github.find_merge_base(pull_request.base.sha, sha)
    access.check_base(base, sha)
    return base


def _check_usage(session: CommandSession, context: RequestContext, terms: Terms) -> list[int]:
    """Refuse what the quotas do not allow. Return the asker's own runs that this one replaces."""
    limits = context.policy.limits
    reserve = max(max(map(int, context.policy.runners)), 1) * limits.minutes
    measured = read_measurements(session, context.earlier, reserve)
    mine = [one for one in measured if one.command.login == session.login]
    here = [one for one in measured if one.command.pull_request == session.pull_request]
    replaced = [one.command.workflow_run for one in mine if one.is_active and one in here]
    now = datetime.now(UTC)

    def check(quota: Quota, whose: str, counted: list[PastMeasurement]) -> None:
        access.check_usage(quota, sum_usage(counted, replaced), terms, now, whose)

    check(limits.user, session.login, mine)
    check(limits.pull_request, f"pull request #{session.pull_request}", here)
    return replaced


def _announce(
    session: CommandSession, asked: Measure, granted: _GrantedMeasurement, replaced: list[int]
) -> int:
    details = replace(
        session.details,
        command=format_command(replace(asked, sha=granted.sha)),
        base=granted.base,
        ends=tuple(replaced),
    )
    suites = [target.text for target in granted.targets]
    expected = write_forecast(
        find_forecast(session, asked, granted.terms, suites),
        granted.terms,
        session.environment.run_url.rpartition("/")[0],
        until_decided=asked.until_decided,
    )
    return session.answer(replies.write_queued(details, granted.terms, expected))


def _hand_over(
    session: CommandSession, asked: Measure, granted: _GrantedMeasurement, comment: int
) -> None:
    terms = granted.terms
    revisions = [one for one in (granted.base, granted.sha) if one]
    seed = secrets.randbelow(_SEEDS)
    words = build_arguments(asked, granted.targets, terms, revisions, seed)
    session.environment.set_outputs(
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

"""Who may have what measured. Pure: policy, asker, request and usage to terms, or a refusal.

Every function that returns nothing, and every one that decides, raises RefusedError with its rule.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from harness.bot.command.requests import Measure, Target
from harness.bot.policy.policy_file import Grant, Policy, Quota
from harness.bot.policy.rules import RefusedError, Rule
from harness.bot.policy.usage import Usage

_ROLES = ("none", "read", "triage", "write", "maintain", "admin")
_WHOLE_SHA = 40
_STATE_FOLDER = ".harness"
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Asker:
    """Who wrote the command. `role` is one of GitHub's; a custom role counts as its base."""

    login: str
    role: str
    is_author: bool
    """Of this pull request."""

    def has(self, role: str) -> bool:
        """Whether the asker's role is this one or a higher one."""
        return _ROLES.index(self.role) >= _ROLES.index(role)


@dataclass(frozen=True, slots=True)
class Terms:
    """What is granted."""

    repeats: int
    gpus: int
    minutes: int
    runner: tuple[str, ...]

    @property
    def gpu_minutes(self) -> int:
        """The most that it can use; a runner without a GPU counts as one GPU."""
        return max(self.gpus, 1) * self.minutes


def choose_role(role_name: str | None, base: str) -> str:
    """Return the role that counts: GitHub's own if it is one, else the base of a custom role."""
    return next((name for name in (role_name, base) if name in _ROLES and name), "none")


def find_grants(policy: Policy, asker: Asker, is_fork: bool) -> list[Grant]:
    """Return the grants that apply to the asker. Raise RefusedError if there are none."""
    found = [grant for grant in policy.grant if _applies(grant, asker, is_fork)]
    if not found:
        raise RefusedError(
            Rule.ACCESS,
            f"{asker.login}, with role {asker.role}, has no grant for this pull request",
        )
    return found


def _applies(grant: Grant, asker: Asker, is_fork: bool) -> bool:
    if grant.author:
        return asker.is_author and not is_fork
    if grant.permission:
        return asker.has(grant.permission)
    return asker.login.lower() in [name.lower() for name in grant.users]


def check_fork(asker: Asker, asked: Measure, is_fork: bool) -> None:
    """Refuse a fork's code unless a maintainer named the commit."""
    if is_fork and not asker.has("write"):
        raise RefusedError(Rule.FORK, "on a fork's pull request only role write or above may ask")
    # Another commit with the same first digits can be made in seconds.
    if is_fork and (asked.sha is None or len(asked.sha) < _WHOLE_SHA):
        raise RefusedError(
            Rule.FORK,
            "on a fork's pull request name the commit that you have read, all 40 digits of it: "
            "--sha HEX",
        )


def resolve_sha(sha: str, commits: Collection[str]) -> str:
    """Return the one commit of the pull request that begins with these digits.

    Any other is refused: GitHub serves every commit of the fork network.
    """
    found = sorted(commit for commit in commits if commit.startswith(sha))
    if not found:
        raise RefusedError(Rule.SHA, f"{sha} is not a commit of this pull request")
    if len(found) > 1:
        shown = ", ".join(found[:_SHOWN])
        raise RefusedError(Rule.AMBIGUOUS, f"{sha} could be {shown}: give more digits")
    return found[0]


def check_head(head: str, last: tuple[str, datetime] | None, commented: datetime) -> None:
    """Refuse a head that was not the branch's before the comment.

    last: the commit and the time of what last moved the branch. A head that was there before, left
    and came back was last moved after the comment.
    """
    if last is None or last[0] != head:
        raise RefusedError(
            Rule.HEAD, "GitHub does not say when the head was pushed: name it with --sha HEX"
        )
    if last[1] >= commented:
        raise RefusedError(
            Rule.HEAD, "the head was pushed after the comment: name the commit with --sha HEX"
        )


def check_base(base: str, head: str) -> None:
    """Refuse to compare a commit with itself."""
    if base == head:
        raise RefusedError(Rule.BASE, "the commit is its own merge base: nothing to compare")


def check_tree(is_truncated: bool) -> None:
    """Refuse a list of files that is cut short: what it lacks proves nothing."""
    if is_truncated:
        raise RefusedError(Rule.TREE, "the commit holds more files than GitHub lists")


def check_state_folder(paths: Collection[str]) -> None:
    """Refuse a commit that tracks `.harness`: a store in it could answer for the measurement."""
    if any(path.partition("/")[0] == _STATE_FOLDER for path in paths):
        raise RefusedError(
            Rule.HARNESS_FOLDER, f"the commit tracks {_STATE_FOLDER}/, the harness's own folder"
        )


def resolve_targets(
    targets: Sequence[Target], files: Collection[str], grants: Sequence[Grant]
) -> tuple[Target, ...]:
    """Return the targets with their full paths, each one of the commit's plain files.

    A bare name must match exactly one file that is granted.
    """
    found = tuple(_resolve_target(target, files, grants) for target in targets)
    if len(set(found)) < len(found):
        raise RefusedError(Rule.GRAMMAR, "a suite is named twice")
    return found


def _resolve_target(target: Target, files: Collection[str], grants: Sequence[Grant]) -> Target:
    if target.file in files:
        return target
    matches = sorted(
        path
        for path in files
        if target.is_bare
        and path.rpartition("/")[2] == target.file
        and Target(path).is_expressible
        and any(_covers(grant, path) for grant in grants)
    )
    if not matches:
        raise RefusedError(
            Rule.NOT_FOUND, f"{target.file} is no file of the commit that is granted"
        )
    if len(matches) > 1:
        shown = ", ".join(matches[:_SHOWN]) + (", ..." if len(matches) > _SHOWN else "")
        raise RefusedError(Rule.AMBIGUOUS, f"{target.file} could be {shown}: name one of them")
    return Target(matches[0], target.node)


def _covers(grant: Grant, path: str) -> bool:
    places = [place.rstrip("/") for place in grant.suites]
    return any(path == place or path.startswith(f"{place}/") for place in places)


def decide_terms(
    policy: Policy, grants: Sequence[Grant], asked: Measure, targets: Sequence[Target]
) -> Terms:
    """Return what is granted. Raise RefusedError unless one grant covers all of the request."""
    gpus = policy.default_gpus if asked.gpus is None else asked.gpus
    repeats = policy.default_repeats if asked.repeats is None else asked.repeats
    refusals = [_find_shortfall(grant, targets, repeats, gpus) for grant in grants]
    if None not in refusals:
        raise next(refusal for refusal in refusals if refusal)
    runner = policy.runners.get(str(gpus))
    if runner is None:
        known = ", ".join(sorted(policy.runners, key=int))
        raise RefusedError(Rule.GPUS, f"no runner has {gpus} GPUs; there are some with {known}")
    _check_tp(policy, asked.tp, gpus)
    return Terms(repeats, gpus, policy.limits.minutes, tuple(runner))


def _check_tp(policy: Policy, tp: int | None, gpus: int) -> None:
    if tp and gpus and tp > gpus:
        raise RefusedError(Rule.GPUS, f"--tp {tp} needs as many GPUs: --gpus {tp}")
    if tp and not gpus and tp > policy.limits.tp_without_gpu:
        raise RefusedError(
            Rule.TP,
            f"--tp {tp} without a GPU: at most {policy.limits.tp_without_gpu} is allowed",
        )


def _find_shortfall(
    grant: Grant, targets: Sequence[Target], repeats: int, gpus: int
) -> RefusedError | None:
    outside = [target.file for target in targets if not _covers(grant, target.file)]
    if outside:
        places = ", ".join(grant.suites)
        return RefusedError(Rule.SUITES, f"{outside[0]} is outside what is granted: {places}")
    if repeats > grant.repeats:
        return RefusedError(Rule.REPEATS, f"{repeats} repeats: at most {grant.repeats} are granted")
    if gpus > grant.gpus:
        return RefusedError(Rule.GPUS, f"{gpus} GPUs: at most {grant.gpus} are granted")
    return None


def check_commands(limit: int, commands: int, whose: str) -> None:
    """Refuse more than `limit` commands in 24 hours, this one included."""
    if commands > limit:
        raise RefusedError(
            Rule.COMMANDS, f"{whose}: {commands} commands in 24 hours, at most {limit}"
        )


def check_usage(share: Quota, usage: Usage, terms: Terms, now: datetime, whose: str) -> None:
    """Refuse what does not fit into what is left."""
    if usage.active >= share.active:
        raise RefusedError(
            Rule.ACTIVE, f"{whose}: {usage.active} measurements wait or run, at most {share.active}"
        )
    cooldown = timedelta(minutes=share.cooldown_minutes)
    if usage.last_started and now < usage.last_started + cooldown:
        until = usage.last_started + cooldown
        raise RefusedError(
            Rule.COOLDOWN,
            f"{whose}: the next measurement may be asked for at {until:%Y-%m-%d %H:%M} UTC",
        )
    left = share.gpu_minutes_per_day - usage.gpu_minutes
    if terms.gpu_minutes > left:
        raise RefusedError(
            Rule.BUDGET,
            f"{whose}: {terms.gpu_minutes} GPU-minutes asked, {max(left, 0):.0f} of "
            f"{share.gpu_minutes_per_day} left of the last 24 hours",
        )

"""Who may have what measured. Pure: policy, asker, request and usage to terms, or a refusal.

Every function raises RefusedError with the rule that forbids it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from harness.bot.grammar import Measure, Target
from harness.bot.policy import Grant, Policy, Share
from harness.bot.rules import RefusedError, Rule
from harness.bot.shapes import Permission, Tree
from harness.bot.state import Usage

_ROLES = ("none", "read", "triage", "write", "maintain", "admin")
_PLAIN_FILES = ("100644", "100755")
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
        """The most that it can use; a runner without a GPU counts as one."""
        return max(self.gpus, 1) * self.minutes


def role_of(permission: Permission) -> str:
    """The role that counts: GitHub's own where it is one, else the base of a custom role."""
    known = [name for name in (permission.role_name, permission.permission) if name in _ROLES]
    return known[0] if known and known[0] else "none"


def grants_for(policy: Policy, asker: Asker, is_fork: bool) -> list[Grant]:
    """The grants that hold for the asker."""
    found = [grant for grant in policy.grant if _holds(grant, asker, is_fork)]
    if not found:
        raise RefusedError(
            Rule.ACCESS,
            f"{asker.login}, with role {asker.role}, has no grant for this pull request",
        )
    return found


def _holds(grant: Grant, asker: Asker, is_fork: bool) -> bool:
    if grant.author:
        return asker.is_author and not is_fork
    if grant.permission:
        return asker.has(grant.permission)
    return asker.login.lower() in [name.lower() for name in grant.users]


def check_fork(asker: Asker, asked: Measure, is_fork: bool) -> None:
    """A fork's code runs only where a maintainer named the commit."""
    if is_fork and not asker.has("write"):
        raise RefusedError(Rule.FORK, "on a fork's pull request only role write or above may ask")
    if is_fork and asked.sha is None:
        raise RefusedError(
            Rule.FORK, "on a fork's pull request name the commit that you have read: --sha HEX40"
        )


def check_named(sha: str, commits: Collection[str]) -> None:
    """A named commit is one of the pull request, not any that the server can give."""
    if sha not in commits:
        raise RefusedError(Rule.SHA, f"{sha} is not a commit of this pull request")


def check_head(first_seen: datetime | None, commented: datetime) -> None:
    """Where no commit is named, the head must have been there before the comment was."""
    if first_seen is None:
        raise RefusedError(
            Rule.HEAD, "no check suite says when the head was pushed: name it with --sha HEX40"
        )
    if first_seen >= commented:
        raise RefusedError(
            Rule.HEAD, "the head was pushed after the comment: name the commit with --sha HEX40"
        )


def check_base(base: str, head: str) -> None:
    """A commit is not compared with itself."""
    if base == head:
        raise RefusedError(Rule.BASE, "the commit is its own merge base: nothing to compare")


def resolve(targets: Sequence[Target], tree: Tree, grants: Sequence[Grant]) -> tuple[Target, ...]:
    """Targets with their full paths, each a plain file of the tree.

    A bare name must match one file in the granted places.
    """
    if tree.truncated:
        raise RefusedError(Rule.TREE, "the commit holds more files than GitHub lists")
    files = {entry.path for entry in tree.tree if entry.mode in _PLAIN_FILES}
    found = tuple(_resolved(target, files, grants) for target in targets)
    if len(set(found)) < len(found):
        raise RefusedError(Rule.GRAMMAR, "a suite is named twice")
    return found


def _resolved(target: Target, files: Collection[str], grants: Sequence[Grant]) -> Target:
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


def terms_for(
    policy: Policy, grants: Sequence[Grant], asked: Measure, targets: Sequence[Target]
) -> Terms:
    """What the request comes to, where one grant covers all of it."""
    gpus = policy.default_gpus if asked.gpus is None else asked.gpus
    repeats = policy.default_repeats if asked.repeats is None else asked.repeats
    refusals = [_shortfall(grant, targets, repeats, gpus) for grant in grants]
    if None not in refusals:
        raise next(refusal for refusal in refusals if refusal)
    runner = policy.runners.get(str(gpus))
    if runner is None:
        known = ", ".join(sorted(policy.runners, key=int))
        raise RefusedError(Rule.GPUS, f"no runner has {gpus} GPUs; there are some with {known}")
    if asked.tp and gpus and asked.tp > gpus:
        raise RefusedError(Rule.GPUS, f"--tp {asked.tp} needs as many GPUs: --gpus {asked.tp}")
    return Terms(repeats, gpus, policy.limits.minutes, tuple(runner))


def _shortfall(
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
    """How many commands of the last 24 hours there may be, this one included."""
    if commands > limit:
        raise RefusedError(
            Rule.COMMANDS, f"{whose}: {commands} commands in 24 hours, at most {limit}"
        )


def check_usage(share: Share, usage: Usage, terms: Terms, now: datetime, whose: str) -> None:
    """Whether what is asked fits into what is left."""
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

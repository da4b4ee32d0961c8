"""The answer to `/rerun-test help`: the command, and what this asker may have. Pure."""

from collections.abc import Sequence

from harness.bot.command.grammar import MAX_TARGETS
from harness.bot.command.requests import COMMAND
from harness.bot.policy.policy_file import Grant, Policy
from harness.core.backends import BACKENDS
from harness.core.order import CaptureOrder

USAGE = f"""```
{COMMAND} SUITE[::Class[::test]]... [--sha HEX] [--repeats N]
            [--order {",".join(CaptureOrder)}]
            [--backend {",".join(BACKENDS)}]
            [--tp N] [--gpus N] [--until decided] [--against base]
{COMMAND} help | cancel | status
```"""


def write_help(policy: Policy, grants: Sequence[Grant]) -> list[str]:
    """Return the command's form, then each grant of the asker."""
    limits = policy.limits
    how = (
        f"The first line of a new comment, plain ASCII, up to {MAX_TARGETS} suites. A file's name "
        "alone is enough if exactly one granted file has it. `--against base` measures the merge "
        "base too, interleaved, and says whether the rate changed; `--until decided` stops as soon "
        "as the answer is known. On a fork's pull request name the commit you have read: `--sha`."
    )
    bounds = (
        f"Without flags: {policy.default_repeats} repeats per cell on {policy.default_gpus} GPUs. "
        f"A measurement takes at most {limits.minutes} minutes; in 24 hours you can use at most "
        f"{limits.user.gpu_minutes_per_day} GPU-minutes, and this pull request "
        f"{limits.pull_request.gpu_minutes_per_day}."
    )
    return [USAGE, how, "\n".join(f"- {format_grant(grant)}" for grant in grants), bounds]


def write_allowed(grants: Sequence[Grant]) -> list[str]:
    """Return what the asker could have instead, for a refusal."""
    return ["\n".join(["Allowed:", *(f"- {format_grant(grant)}" for grant in grants)])]


def write_who_may(policy: Policy) -> list[str]:
    """Return who has a grant, for someone who has none."""
    rows = [f"- {_describe_holder(grant)}: {_describe_extent(grant)}" for grant in policy.grant]
    return ["\n".join(["Who may have something measured here:", *rows])]


def _describe_holder(grant: Grant) -> str:
    if grant.author:
        return "the author of a pull request, if its branch is in this repository"
    if grant.permission:
        return f"role {grant.permission} or above"
    return f"{len(grant.users)} named users"


def format_grant(grant: Grant) -> str:
    """Return what one grant allows, as a sentence."""
    return f"you may measure {_describe_extent(grant)}"


def _describe_extent(grant: Grant) -> str:
    places = ", ".join(f"`{place}`" for place in grant.suites)
    return f"{places}: up to {grant.repeats} repeats, {grant.gpus} GPUs"

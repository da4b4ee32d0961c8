"""The answer to `/rerun-test help`: the command, and what this asker may have. Pure."""

from collections.abc import Sequence

from harness.bot.grammar import COMMAND, MAX_TARGETS
from harness.bot.policy import Grant, Policy
from harness.core.backends import BACKENDS
from harness.core.order import CaptureOrder

USAGE = f"""```
{COMMAND} SUITE[::Class[::test]]... [--sha HEX40] [--repeats N]
            [--order {",".join(CaptureOrder)}]
            [--backend {",".join(BACKENDS)}]
            [--tp N] [--gpus N] [--until decided] [--against base]
{COMMAND} help | cancel | status
```"""


def help_lines(policy: Policy, grants: Sequence[Grant]) -> list[str]:
    """The command's form, then each grant of the asker."""
    limits = policy.limits
    how = (
        f"The first line of a new comment, plain ASCII, up to {MAX_TARGETS} suites. A file's name "
        "alone is enough where one granted file has it. `--against base` measures the merge base "
        "too, interleaved, and says whether the rate changed; `--until decided` stops as soon as "
        "the answer is known. On a fork's pull request name the commit you have read: `--sha`."
    )
    bounds = (
        f"Without flags: {policy.default_repeats} repeats per cell on {policy.default_gpus} GPUs. "
        f"A measurement takes at most {limits.minutes} minutes; 24 hours hold at most "
        f"{limits.user.gpu_minutes_per_day} GPU-minutes of yours, "
        f"{limits.pull_request.gpu_minutes_per_day} of this pull request's."
    )
    return [USAGE, how, "\n".join(f"- {_granted(grant)}" for grant in grants), bounds]


def _granted(grant: Grant) -> str:
    places = ", ".join(f"`{place}`" for place in grant.suites)
    return f"you may measure {places}: up to {grant.repeats} repeats, {grant.gpus} GPUs"

"""From what was granted to the arguments of `harness run`. Pure."""

from collections.abc import Sequence

from harness.bot.command.requests import Measure, Target
from harness.bot.policy.access import Terms


def build_arguments(
    asked: Measure, targets: Sequence[Target], terms: Terms, revisions: Sequence[str], seed: int
) -> list[str]:
    """Return the arguments, one word each, flags with their values, then `--` and the suites.

    seed: chosen here, so that nobody can pick the seed of a run that came out well.
    """
    words = ["--repeats", str(terms.repeats), "--rev", ",".join(revisions), "--seed", str(seed)]
    words += ["--device", "cuda" if terms.gpus else "cpu"]
    words += ["--order", ",".join(asked.orders)] if asked.orders else []
    words += ["--backend", ",".join(asked.backends)] if asked.backends else []
    words += ["--tp", str(asked.tp)] if asked.tp else []
    words += ["--until", "decided"] if asked.until_decided else []
    return [*words, "--", *(target.text for target in targets)]

"""From what was granted to the arguments of `harness run`. Pure."""

from collections.abc import Sequence

from harness.bot.command.requests import Measure, Target
from harness.bot.policy.access import Terms


def build_arguments(
    asked: Measure, targets: Sequence[Target], terms: Terms, sha: str, base: str
) -> list[str]:
    """Return the arguments, one word each, suites last and after `--`. base: empty for none."""
    words = ["--repeats", str(terms.repeats), "--rev", f"{base},{sha}" if base else sha]
    words += ["--device", "cuda" if terms.gpus else "cpu"]
    words += ["--order", ",".join(asked.orders)] if asked.orders else []
    words += ["--backend", ",".join(asked.backends)] if asked.backends else []
    words += ["--tp", str(asked.tp)] if asked.tp else []
    words += ["--until", "decided"] if asked.until_decided else []
    return [*words, "--", *(target.text for target in targets)]

"""From what was granted to the arguments of `harness run`. Pure."""

from collections.abc import Sequence

from harness.bot.access import Terms
from harness.bot.grammar import Measure, Target


def arguments_of(
    asked: Measure, targets: Sequence[Target], terms: Terms, sha: str, base: str
) -> list[str]:
    """The arguments, one word each, suites last and behind `--`. base: empty for none."""
    words = ["--repeats", str(terms.repeats), "--rev", f"{base},{sha}" if base else sha]
    words += ["--device", "cuda" if terms.gpus else "cpu"]
    words += ["--order", ",".join(asked.orders)] if asked.orders else []
    words += ["--backend", ",".join(asked.backends)] if asked.backends else []
    words += ["--tp", str(asked.tp)] if asked.tp else []
    words += ["--until", "decided"] if asked.until_decided else []
    return [*words, "--", *(target.text for target in targets)]

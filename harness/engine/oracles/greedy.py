"""What a suite asks of an engine's answers, and the two ways in which they are plainly wrong."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

_log = logging.getLogger(__name__)


class WrongOutput(AssertionError):  # noqa: N818 - names what was seen
    """A token that the reference would not have chosen."""


class NanDetected(FloatingPointError):  # noqa: N818 - names what was seen
    """A step's logits hold NaN."""


class Tokens(Protocol):
    """Anything with emitted tokens, as the engine's Generation."""

    @property
    def tokens(self) -> list[int]:
        """The emitted tokens."""


class Scorer(Protocol):
    """Anything with the reference's logits."""

    def logits(self, token_rows: list[list[int]]) -> list[Tensor]:
        """Per row [len, vocab]."""


@dataclass(frozen=True, slots=True)
class NearTie:
    """A token that was not the reference's first choice, but within epsilon of it."""

    request: int
    position: int
    token: int
    gap: float


def check_greedy(
    reference: Scorer,
    prompts: Sequence[Sequence[int]],
    generations: Sequence[Tokens],
    epsilon: float,
) -> list[NearTie]:
    """Check each emitted token against the reference's argmax after the same prefix.

    A token whose logit is less than `epsilon` below the top is a near-tie: logged and answered.
    Raises WrongOutput naming request, position, token and gap for any other.
    """
    rows = [[*p, *g.tokens] for p, g in zip(prompts, generations, strict=True)]
    near_ties: list[NearTie] = []
    for request, logits in enumerate(reference.logits(rows)):
        start, emitted = len(prompts[request]), generations[request].tokens
        predicted = logits[start - 1 : len(rows[request]) - 1]
        for position, (scores, token) in enumerate(zip(predicted, emitted, strict=True)):
            gap = float(scores.max() - scores[token])
            if gap > 0:
                near_ties.append(_judge(NearTie(request, position, token, gap), scores, epsilon))
    return near_ties


def _judge(tie: NearTie, scores: Tensor, epsilon: float) -> NearTie:
    where = f"request {tie.request}, position {tie.position}, token {tie.token}"
    best = int(scores.argmax())
    # Not `gap >= epsilon`: a NaN gap is wrong too.
    if not tie.gap < epsilon:
        raise WrongOutput(f"{where}: the reference chooses {best}, gap {tie.gap:.6g}")
    _log.info("near-tie: %s: the reference chooses %d, gap %.6g", where, best, tie.gap)
    return tie

"""How much a step of speculative decoding drafts, and which sizes go together. Pure.

A chain (topk 1) drafts one token after another. A tree keeps the `topk` best beams of each step and
tries `topk` tokens after each; of all that it tried, the best `draft_tokens` - 1 are verified.
"""

from dataclasses import dataclass

from harness.core.errors import UsageError

#: What an engine drafts where nothing is said: a chain. 0 draft tokens follow from the others.
DEFAULTS = {"spec_steps": 4, "spec_topk": 1, "spec_draft_tokens": 0}

MAX_STEPS = 8
MAX_TOPK = 8
MAX_DRAFT_TOKENS = 64


@dataclass(frozen=True, slots=True)
class SpecShape:
    """The sizes of one step. `draft_tokens`, the last known token included: 0 for the default."""

    steps: int
    topk: int
    draft_tokens: int = 0

    @property
    def is_tree(self) -> bool:
        """Whether drafts branch."""
        return self.topk > 1

    @property
    def nodes(self) -> int:
        """Tokens verified per request: the last known one and the drafts."""
        return self.draft_tokens or min(largest_tree(self.steps, self.topk), MAX_DRAFT_TOKENS)

    @property
    def decode_length(self) -> int:
        """Slots that the longest branch fills while drafting.

        The first step's tokens come from the state at hand, so the head runs once less than there
        are steps, and each run adds one slot to every branch.
        """
        return max(self.steps - 1, 0)

    @property
    def path(self) -> int:
        """Tokens on the longest path from the last known token, that included."""
        return self.steps + 1

    @property
    def slots(self) -> int:
        """Pool slots past the context that one step writes at most: for drafting or verifying."""
        return max(self.nodes - 1, self.decode_length * self.topk)


#: Decoding without speculation: the last known token alone.
NO_DRAFTS = SpecShape(0, 1, 1)


def largest_tree(steps: int, topk: int) -> int:
    """Every token that could be tried, and the last known one."""
    return 1 + topk + (steps - 1) * topk * topk


def check_spec(steps: int, topk: int, draft_tokens: int) -> None:
    """Raises UsageError where a size is outside its limits or they do not go together.

    draft_tokens: 0 leaves it to the others.
    """
    _check_limits("spec_steps", steps, 1, MAX_STEPS)
    _check_limits("spec_topk", topk, 1, MAX_TOPK)
    if draft_tokens == 0:
        return
    _check_limits("spec_draft_tokens", draft_tokens, 2, MAX_DRAFT_TOKENS)
    if topk == 1 and draft_tokens != steps + 1:
        raise UsageError(
            f"spec_draft_tokens {draft_tokens} with spec_topk 1: a chain of spec_steps {steps} has "
            f"{steps + 1}; give {steps + 1}, or 0, or a larger spec_topk"
        )
    largest = largest_tree(steps, topk)
    if draft_tokens > largest:
        raise UsageError(
            f"spec_draft_tokens {draft_tokens}: spec_steps {steps} with spec_topk {topk} try "
            f"{largest} at most; give no more, or raise spec_steps or spec_topk"
        )


def _check_limits(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise UsageError(f"{name} {value} is not supported: give {low} to {high}")

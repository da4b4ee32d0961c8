"""What an engine hands to a suite."""

from dataclasses import dataclass

from harness.engine.serving.scheduler import FinishReason


@dataclass(frozen=True, slots=True)
class Generation:
    """What came of one prompt.

    `logprobs` (natural, of the target at temperature 1) is empty unless asked for;
    `accept_lengths` holds the tokens that each verify step emitted, the bonus token included.
    """

    tokens: list[int]
    logprobs: list[float]
    finish_reason: FinishReason | None
    accept_lengths: list[int]


@dataclass(frozen=True, slots=True)
class Footprint:
    """What an engine holds on one device beside its graphs, in bytes."""

    weights: int
    embedding: int
    """Of the weights, the target's embedding: a step reads one row of it per token."""
    draft_weights: int
    kv: int


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Counts since the engine was built. `replays` is by `role/bs`; `eager` counts steps.

    `shared_tokens` were not computed at a prefill, since the prefix cache had them.
    """

    replays: dict[str, int]
    eager: int
    verified_rows: int
    emitted_tokens: int
    retractions: int = 0
    shared_tokens: int = 0

    @property
    def mean_accept_length(self) -> float:
        """Tokens emitted per request and verify step, bonus included; 0 before the first."""
        return self.emitted_tokens / self.verified_rows if self.verified_rows else 0.0

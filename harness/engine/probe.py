"""Rank 0's way to look at captured steps: replays beside eager runs, and the time of one step."""

from harness.core.errors import UsageError
from harness.engine.engine import Engine
from harness.engine.serving.commands import TimeStep, WatchReplays


def watch_replays(engine: Engine) -> dict[str, float]:
    """From now on compare each replay with an eager run on the same inputs, without padding rows.

    Return a live mapping: `role/bs` to the largest difference seen on rank 0.
    """
    engine.ranks.run(WatchReplays())
    return engine.ranks.worker.probe.differences


def time_step(
    engine: Engine, role: str, bs: int, length: int, count: int = 50, *, graphed: bool = True
) -> float:
    """Return the median seconds of a decode step on `bs` rows of `length` positions.

    Device time on CUDA. Overwrites the KV pool. Raises UsageError if requests run, the sizes do
    not fit or the step was not captured.
    """
    config = engine.config
    if engine.busy or bs > config.max_running or not 0 < length <= config.max_context:
        raise UsageError(
            f"time_step: {bs} rows of {length} positions need an idle engine with max_running "
            f"{config.max_running} and max_context {config.max_context} at least as large"
        )
    return float(engine.ranks.run(TimeStep(role, bs, length, count, graphed)).median())

"""What an engine is built from: the checkpoint's shape and the cell's choices. Pure."""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass

from harness.core.engine_arguments import (
    EngineArguments,
    default_dtype,
    expand_backend,
    read_arguments,
)
from harness.core.errors import UsageError
from harness.core.order import CaptureOrder, decide_order
from harness.core.speculation import NO_DRAFTS, SpecShape, check_spec

MAX_PAGE_SIZE = 256


@dataclass(frozen=True, slots=True)
class EngineConfig(EngineArguments):
    """Everything one engine is built from, and the sizes that follow. Built by `build_config`."""

    @property
    def spec(self) -> SpecShape:
        """What is drafted per step; nothing without speculation."""
        if not self.speculative:
            return NO_DRAFTS
        return SpecShape(self.spec_steps, self.spec_topk, self.spec_draft_tokens)

    @property
    def query_len(self) -> int:
        """Tokens per request in one verify (or decode) step: the last one and its drafts."""
        return self.spec.nodes

    @property
    def max_bs(self) -> int:
        """Rows of every static buffer."""
        return max(self.max_running, *self.cuda_graph_bs)

    @property
    def logit_rows(self) -> int:
        """Rows of the one buffer that every graph's logits are written to."""
        return self.max_bs * max(self.query_len, self.spec.topk)

    @property
    def pages_per_row(self) -> int:
        """Width of the page table: a step also writes its drafts, past the context."""
        return count_pages(self.max_context + self.spec.slots, self.page_size)

    @property
    def num_pages(self) -> int:
        """Pages of the KV pool, page 0 included, which padding rows write to."""
        tokens = self.max_total_tokens or self.max_running * self.pages_per_row * self.page_size
        return count_pages(tokens, self.page_size) + 1

    @property
    def resolved_order(self) -> CaptureOrder:
        """The order captured in: the gate's answer where the gate was asked for."""
        if self.order is not CaptureOrder.GATE:
            return self.order
        return decide_order(
            self.in_ci, self.prefill_backend, self.decode_backend, self.draft_backend
        )

    def as_dict(self) -> dict[str, typing.Any]:
        """The configuration as a JSON object, for the followers."""
        return dataclasses.asdict(self)


def config_from_dict(values: Mapping[str, typing.Any]) -> EngineConfig:
    """Inverse of `EngineConfig.as_dict`, after JSON."""
    return EngineConfig(**read_arguments(values))


def count_pages(tokens: int, page_size: int) -> int:
    """Pages that hold `tokens` tokens."""
    return -(-tokens // page_size)


def build_config(
    engine_args: Mapping[str, object], cell: Mapping[str, object], environ: Mapping[str, str]
) -> EngineConfig:
    """Merge a suite's arguments, its cell and the rank's environment; the cell wins.

    Raises UsageError for an unknown or ill-typed argument and for values that cannot go together.
    """
    merged = {**_from_environ(environ), **expand_backend(engine_args), **expand_backend(cell)}
    read = read_arguments(merged)
    if "model" not in read:
        raise UsageError("no model: give engine_args a 'model' path to a checkpoint folder")
    read.setdefault("dtype", default_dtype(read.get("device", "cpu")))
    config = EngineConfig(**read)
    _check(config, environ)
    return config


def _from_environ(environ: Mapping[str, str]) -> dict[str, object]:
    """Defaults that the supervisor gives every rank of an attempt."""
    names = {"HARNESS_SEED": "seed", "WORLD_SIZE": "tp", "HARNESS_DEVICE": "device"}
    found: dict[str, object] = {key: environ[v] for v, key in names.items() if environ.get(v)}
    found["in_ci"] = environ.get("HARNESS_IN_CI") == "1"
    return found


def _check(config: EngineConfig, environ: Mapping[str, str]) -> None:
    """Raise UsageError for values that cannot go together, or that these ranks cannot have."""
    if config.speculative and config.draft_model is None:
        raise UsageError("speculative decoding needs 'draft_model': give it, or speculative=False")
    if config.speculative:
        check_spec(config.spec_steps, config.spec_topk, config.spec_draft_tokens)
    world = int(environ.get("WORLD_SIZE", "1"))
    if config.tp != world:
        raise UsageError(f"tp {config.tp} needs {config.tp} ranks, but {world} run: start as many")
    _check_pool(config)


def _check_pool(config: EngineConfig) -> None:
    if config.page_size > MAX_PAGE_SIZE:
        raise UsageError(
            f"page_size {config.page_size} is not supported: give 1 to {MAX_PAGE_SIZE}"
        )
    if config.num_pages - 1 < config.pages_per_row:
        needed = config.pages_per_row * config.page_size
        raise UsageError(
            f"max_total_tokens {config.max_total_tokens} cannot hold one request: give at least "
            f"{needed}, or lower max_context"
        )

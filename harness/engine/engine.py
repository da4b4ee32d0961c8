"""The engine's one door for suites. Rank 0 decides everything; followers execute its commands."""

import json
import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import torch

from harness.core.errors import UsageError
from harness.engine.cache.paging import Paging
from harness.engine.cache.pool import PageAllocator
from harness.engine.config import EngineConfig, build_config, count_pages
from harness.engine.distributed.connect import open_channels
from harness.engine.serving.commands import Score
from harness.engine.serving.ranks import Ranks, start_everywhere
from harness.engine.serving.results import EngineStats, Footprint, Generation
from harness.engine.serving.scheduler import Request, Scheduler
from harness.engine.serving.stepper import Stepper, check_finite
from harness.rank import wire


class Engine:
    """A tensor-parallel engine. One may be open per process; close it before the next."""

    _open: "Engine | None" = None
    _serial = 0

    def __init__(self, config: EngineConfig, ranks: Ranks) -> None:
        """For `from_cell`: all `ranks` run."""
        self.config = config
        self.ranks = ranks
        """All ranks, for commands beside those of serving."""
        self._paging = Paging(
            PageAllocator(config.num_pages),
            config.page_size,
            overlap=int(config.speculative),
            caching=config.prefix_cache,
        )
        self._scheduler = Scheduler(
            self._paging,
            config.max_running,
            config.max_context,
            ranks.worker.model.eos_token_ids,
            lambda tokens: count_pages(tokens + config.spec.slots, config.page_size),
        )
        self._stepper = Stepper(config, ranks, self._scheduler)

    @classmethod
    def from_cell(
        cls, engine_args: Mapping[str, object], environ: Mapping[str, str] | None = None
    ) -> "Engine":
        """Build and capture an engine for a suite's arguments in the cell of this attempt.

        Raises UsageError for what the user can mend, CaptureBarrierTimeout, CaptureError, and
        torch's own errors.
        """
        environ = os.environ if environ is None else environ
        if Engine._open is not None:
            raise UsageError("an engine is already open in this process: close it first")
        wire.emit("phase", name="setup")
        cell = json.loads(environ.get("HARNESS_CELL") or "{}")
        config = build_config(engine_args, cell, environ)
        channels = open_channels(environ)
        Engine._serial += 1
        ranks = start_everywhere(config, channels, environ, Engine._serial)
        engine = Engine._open = cls(config, ranks)
        wire.emit("phase", name="run")
        return engine

    @classmethod
    def get_open(cls) -> "Engine | None":
        """Return this process's open engine."""
        return Engine._open

    @property
    def model_path(self) -> str:
        """The target checkpoint's folder."""
        return self.config.model

    @property
    def stats(self) -> EngineStats:
        """Counts so far."""
        runner = self.ranks.worker.runner
        return EngineStats(
            dict(runner.replays),
            runner.eager,
            self._stepper.verified_rows,
            self._stepper.emitted_tokens,
            self._scheduler.retractions,
            self._scheduler.shared_pages * self.config.page_size,
        )

    @property
    def captures(self) -> list[dict[str, Any]]:
        """This rank's capture trace: per graph, in order, what the wire's `capture` event says."""
        return self.ranks.worker.runner.captures

    @property
    def vocab_size(self) -> int:
        """Entries of the target's vocabulary."""
        return self.ranks.worker.model.vocab_size

    @property
    def footprint(self) -> Footprint:
        """What rank 0 holds beside its graphs and buffers."""
        return self.ranks.worker.footprint

    @property
    def busy(self) -> bool:
        """Whether requests wait or run."""
        return self._scheduler.busy

    @property
    def running(self) -> list[Request]:
        """The requests that run, oldest first."""
        return self._scheduler.running

    def addresses(self, role: str, bs: int) -> dict[str, int]:
        """Where everything stands now that a graph of this rank uses."""
        return self.ranks.worker.runner.addresses(role, bs)

    @property
    def free_pages(self) -> int:
        """Pages of the pool that no request holds; cached ones are among them."""
        return self._paging.free

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        max_new_tokens: int,
        temperature: float | None = None,
        return_logprob: bool = False,
    ) -> list[Generation]:
        """Run prompts of token numbers to their ends. Raises UsageError and NanDetected."""
        requests = [self.submit(prompt, max_new_tokens, temperature) for prompt in prompts]
        while any(request.finish_reason is None for request in requests):
            self.step()
        return [
            Generation(
                tokens=request.tokens,
                logprobs=request.logprobs if return_logprob else [],
                finish_reason=request.finish_reason,
                accept_lengths=request.accept_lengths,
            )
            for request in requests
        ]

    def submit(
        self, prompt: Sequence[int], max_new_tokens: int, temperature: float | None = None
    ) -> Request:
        """Queue one prompt; `step` runs it. Raises UsageError where it can never run."""
        self._check_tokens(prompt)
        chosen = self.config.temperature if temperature is None else temperature
        return self._scheduler.submit(prompt, max_new_tokens, chosen)

    def step(self) -> bool:
        """Prefill what can be admitted, then run one decode step. False if nothing is left."""
        return self._stepper.step()

    def abort(self, request_id: int) -> bool:
        """End one request, freeing its pages. False where it is not waiting or running."""
        return self._scheduler.abort(request_id)

    def abort_all(self) -> int:
        """End every request; answers how many there were."""
        return self._scheduler.abort_all()

    def score(self, prompt: Sequence[int], continuation: Sequence[int]) -> list[float]:
        """Log-probabilities of each continuation token, by one prefill of the whole.

        Raises UsageError for a text too long, or where running requests leave too few pages.
        """
        tokens = [*prompt, *continuation]
        self._check_tokens(tokens)
        if not prompt or not continuation or len(tokens) > self.config.max_context:
            raise UsageError(
                f"score needs a prompt and a continuation of together at most max_context "
                f"{self.config.max_context} tokens; {len(tokens)} were given"
            )
        pages = self._paging.take(count_pages(len(tokens), self.config.page_size))
        if pages is None:
            raise UsageError("score: running requests hold the KV pool; finish or abort them first")
        try:
            logits = self.ranks.run(Score(tokens, pages)).float().cpu()
        finally:
            self._paging.release(pages)
        check_finite("score", logits, [0])
        predicted = logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        chosen = torch.tensor(list(continuation)).unsqueeze(-1)
        scored: list[float] = predicted.gather(-1, chosen).squeeze(-1).tolist()
        return scored

    def _check_tokens(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            if not 0 <= token < self.vocab_size:
                raise UsageError(f"token {token} is outside the vocabulary of {self.vocab_size}")

    def close(self) -> None:
        """Free the graphs, then the process group, on every rank. Closing twice is harmless."""
        if Engine._open is self:
            Engine._open = None
            self.ranks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

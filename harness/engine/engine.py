"""The engine's one door for suites. Rank 0 decides everything; followers execute its commands."""

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import torch
from torch import Tensor

from harness.core.errors import HarnessError, UsageError
from harness.engine.channels import ChannelClosed, Channels, open_channels, receive
from harness.engine.config import EngineConfig, build_config, pages_for
from harness.engine.kv import PageAllocator
from harness.engine.oracle import NanDetected
from harness.engine.paging import Paging
from harness.engine.probe import Probe
from harness.engine.results import EngineStats, Footprint, Generation
from harness.engine.sampling import Sampled, accepted_path, sample
from harness.engine.scheduler import Request, Scheduler
from harness.engine.worker import StepResult, Worker
from harness.rank import wire

T = TypeVar("T")


class Engine:
    """A tensor-parallel engine. One may be open per process; close it before the next."""

    _open: "Engine | None" = None
    _serial = 0

    def __init__(self, config: EngineConfig, channels: Channels, worker: Worker) -> None:
        """For `from_cell`: `worker` is loaded, on every rank."""
        self.config = config
        self._channels = channels
        self._worker = worker
        self._paging = Paging(
            PageAllocator(config.num_pages),
            config.page_size,
            overlap=int(config.speculative),
            caching=config.prefix_cache,
        )
        self._generator = torch.Generator().manual_seed(config.seed % 2**63)
        self._verified_rows = 0
        self._emitted_tokens = 0
        self._scheduler = Scheduler(
            self._paging,
            config.max_running,
            config.max_context,
            worker.model.eos_token_ids,
            lambda tokens: pages_for(tokens + config.spec.slots, config.page_size),
        )

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
        worker = _load_everywhere(config, channels, environ)
        engine = Engine._open = cls(config, channels, worker)
        try:
            worker.start(Engine._serial)
        except BaseException:
            engine.close()
            raise
        wire.emit("phase", name="run")
        return engine

    @property
    def model_path(self) -> str:
        """The target checkpoint's folder."""
        return self.config.model

    @property
    def stats(self) -> EngineStats:
        """Counts so far."""
        runner = self._worker.runner
        assert runner is not None
        return EngineStats(
            dict(runner.replays),
            runner.eager,
            self._verified_rows,
            self._emitted_tokens,
            self._scheduler.retractions,
            self._scheduler.shared_pages * self.config.page_size,
        )

    @property
    def captures(self) -> list[dict[str, Any]]:
        """This rank's capture trace: per graph, in order, what the wire's `capture` event says."""
        runner = self._worker.runner
        assert runner is not None
        return runner.captures

    @property
    def probe(self) -> Probe:
        """What looks at this rank's captured steps."""
        return self._worker.probe

    @property
    def vocab_size(self) -> int:
        """Entries of the target's vocabulary."""
        return self._worker.model.vocab_size

    @property
    def footprint(self) -> Footprint:
        """What rank 0 holds beside its graphs and buffers."""
        return self._worker.footprint()

    @property
    def busy(self) -> bool:
        """Whether requests wait or run."""
        return self._scheduler.busy

    def addresses(self, role: str, bs: int) -> dict[str, int]:
        """Where everything stands now that a graph of this rank uses."""
        runner = self._worker.runner
        assert runner is not None
        return runner.addresses(role, bs)

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
        """Prefill what can be admitted, then run one decode step. False when nothing is left."""
        self._grow()
        for requests in _by_length_to_prefill(self._scheduler.admit(), self.config.page_size):
            self._prefill(requests)
        running = self._scheduler.running
        if running and self.config.speculative:
            self._speculate(running)
        elif running:
            self._decode(running)
        return self._scheduler.busy

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
        pages = self._paging.take(pages_for(len(tokens), self.config.page_size))
        if pages is None:
            raise UsageError("score: running requests hold the KV pool; finish or abort them first")
        try:
            logits = _on_cpu(self._command("score", tokens=tokens, pages=pages))
        finally:
            self._paging.release(pages)
        _check_finite("score", logits, [0])
        predicted = logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        chosen = torch.tensor(list(continuation)).unsqueeze(-1)
        scored: list[float] = predicted.gather(-1, chosen).squeeze(-1).tolist()
        return scored

    def _grow(self) -> None:
        """Give running requests the pages of their next step; retract where there are too few."""
        grown, retracted = self._scheduler.grow()
        for request in retracted:
            text = f"KV pool full: request {request.id} is retracted and computed again later"
            wire.emit("note", text=text)
        if grown:
            self._command(
                "own", rows=[r.row for r in grown], pages=[request.pages for request in grown]
            )

    def _prefill(self, requests: list[Request]) -> None:
        """Run contexts together that have as many tokens left to compute."""
        rows = [request.row for request in requests]
        starts = [len(request.shared.nodes) * self.config.page_size for request in requests]
        contexts = [request.context for request in requests]
        self._command("own", rows=rows, pages=[request.pages for request in requests])
        logits = _on_cpu(
            self._command(
                "prefill",
                rows=rows,
                tokens=[c[start:] for c, start in zip(contexts, starts, strict=True)],
                starts=starts,
            )
        )
        sampled = self._sample("prefill", logits, requests)
        if self.config.speculative:
            shifted = [
                [*context[start + 1 :], tokens[0]]
                for context, start, tokens in zip(contexts, starts, sampled.tokens, strict=True)
            ]
            self._command("draft_prefill", rows=rows, tokens=shifted, starts=starts)
        for request, tokens, logprobs in zip(
            requests, sampled.tokens, sampled.logprobs, strict=True
        ):
            self._scheduler.record(request, tokens, logprobs)

    def _decode(self, running: list[Request]) -> None:
        logits = _on_cpu(self._command("decode", **_batch(running)))
        sampled = self._sample("decode", logits, running)
        for request, tokens, logprobs in zip(
            running, sampled.tokens, sampled.logprobs, strict=True
        ):
            self._scheduler.record(request, tokens, logprobs)

    def _speculate(self, running: list[Request]) -> None:
        batch = _batch(running)
        result = self._command("speculate", **batch)
        assert isinstance(result, tuple)
        logits, drafts, parents = _on_cpu(result[0]), result[1].tolist(), result[2].tolist()
        sampled = self._sample("verify", logits, running)
        paths = [accepted_path(*row) for row in zip(drafts, parents, sampled.tokens, strict=True)]
        emitted = _along(paths, sampled.tokens)
        self._command(
            "extend",
            rows=batch["rows"],
            tokens=emitted,
            positions=batch["positions"],
            paths=paths,
        )
        logprobs = _along(paths, sampled.logprobs)
        for request, tokens, row in zip(running, emitted, logprobs, strict=True):
            request.accept_lengths.append(len(tokens))
            self._scheduler.record(request, tokens, row)
        self._verified_rows += len(running)
        self._emitted_tokens += sum(map(len, emitted))

    def _sample(self, role: str, logits: Tensor, requests: list[Request]) -> Sampled:
        _check_finite(role, logits, [request.id for request in requests])
        temperatures = [request.temperature for request in requests]
        return sample(logits, temperatures, self._generator)

    def _check_tokens(self, tokens: Sequence[int]) -> None:
        vocab = self._worker.model.vocab_size
        for token in tokens:
            if not 0 <= token < vocab:
                raise UsageError(f"token {token} is outside the vocabulary of {vocab}")

    def _command(self, op: str, **arguments: Any) -> StepResult:
        """Run one command of the worker on every rank; answers rank 0's result."""
        self._channels.broadcast({"op": op, **arguments})
        return self._worker.execute(op, arguments)

    def close(self) -> None:
        """Free the graphs, then the process group, on every rank. Closing twice is harmless."""
        if Engine._open is not self:
            return
        Engine._open = None
        # A follower that has died has nothing left to close.
        with contextlib.suppress(ChannelClosed):
            self._channels.broadcast({"op": "close"})
        self._worker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _load_everywhere(
    config: EngineConfig, channels: Channels, environ: Mapping[str, str]
) -> Worker:
    """Load on all ranks before any of them waits for another. Raises the first UsageError."""
    Engine._serial += 1
    channels.broadcast({"op": "build", "config": config.as_dict(), "serial": Engine._serial})
    worker = Worker(config, channels, environ)
    failure: HarnessError | None = None
    try:
        worker.load()
    except HarnessError as error:
        failure = error
    for rank, peer in enumerate(channels.control, start=1):
        reply = receive(peer)["error"]
        if reply and failure is None:
            failure = UsageError(f"rank {rank}: {reply}")
    channels.broadcast({"op": "abandon" if failure else "start"})
    if failure:
        raise failure
    return worker


def _by_length_to_prefill(requests: list[Request], page_size: int) -> list[list[Request]]:
    """Requests whose tokens to compute fit one rectangular batch, in order of arrival."""
    groups: dict[int, list[Request]] = {}
    for request in requests:
        left = len(request.context) - len(request.shared.nodes) * page_size
        groups.setdefault(left, []).append(request)
    return list(groups.values())


def _batch(running: list[Request]) -> dict[str, list[int]]:
    return {
        "rows": [request.row for request in running if request.row is not None],
        "tokens": [request.tokens[-1] for request in running],
        "positions": [request.last_position for request in running],
    }


def _along(paths: list[list[int]], values: list[list[T]]) -> list[list[T]]:
    """Each row's values at its path's nodes."""
    return [[row[node] for node in path] for path, row in zip(paths, values, strict=True)]


def _on_cpu(logits: StepResult) -> Tensor:
    assert isinstance(logits, Tensor)
    return logits.float().cpu()


def _check_finite(role: str, logits: Tensor, request_ids: list[int]) -> None:
    """Raises NanDetected naming the first request and position with a NaN logit."""
    bad = logits.isnan().any(-1)
    if bad.any():
        row, position = bad.nonzero()[0].tolist()
        raise NanDetected(f"NaN logits in {role}: request {request_ids[row]}, position {position}")

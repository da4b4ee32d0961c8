"""One step of serving, as rank 0 decides it: prefill what is admitted, then decode or speculate."""

from typing import TypeVar

import torch
from torch import Tensor

from harness.engine.config import EngineConfig
from harness.engine.oracles.greedy import NanDetected
from harness.engine.serving.commands import (
    AssignPages,
    Decode,
    DraftPrefill,
    Extend,
    Prefill,
    Speculate,
)
from harness.engine.serving.ranks import Ranks
from harness.engine.serving.sampling import Sampled, follow_accepted, sample
from harness.engine.serving.scheduler import Request, Scheduler
from harness.rank import wire

T = TypeVar("T")


class Stepper:
    """Runs the scheduler's requests on all ranks, and samples their tokens."""

    def __init__(self, config: EngineConfig, ranks: Ranks, scheduler: Scheduler) -> None:
        self.verified_rows = 0
        self.emitted_tokens = 0
        """Tokens that verify steps emitted."""
        self._config = config
        self._ranks = ranks
        self._scheduler = scheduler
        self._generator = torch.Generator().manual_seed(config.seed % 2**63)

    def step(self) -> bool:
        """Prefill what can be admitted, then run one decode step. False if nothing is left."""
        self._grow()
        for requests in _group_by_length(self._scheduler.admit(), self._config.page_size):
            self._prefill(requests)
        running = self._scheduler.running
        if running and self._config.speculative:
            self._speculate(running)
        elif running:
            self._decode(running)
        return self._scheduler.busy

    def _grow(self) -> None:
        """Give running requests the pages of their next step; retract if there are too few."""
        grown, retracted = self._scheduler.grow()
        for request in retracted:
            text = f"KV pool full: request {request.id} is retracted and computed again later"
            wire.emit("note", text=text)
        if grown:
            self._assign_pages(grown)

    def _assign_pages(self, requests: list[Request]) -> None:
        self._ranks.run(AssignPages(_get_rows(requests), [one.pages for one in requests]))

    def _prefill(self, requests: list[Request]) -> None:
        """Run contexts together that have as many tokens left to compute."""
        rows = _get_rows(requests)
        starts = [len(request.shared.nodes) * self._config.page_size for request in requests]
        contexts = [request.context for request in requests]
        self._assign_pages(requests)
        tokens = [context[start:] for context, start in zip(contexts, starts, strict=True)]
        logits = self._ranks.run(Prefill(rows, tokens, starts))
        sampled = self._sample("prefill", logits, requests)
        if self._config.speculative:
            shifted = [
                [*context[start + 1 :], emitted[0]]
                for context, start, emitted in zip(contexts, starts, sampled.tokens, strict=True)
            ]
            self._ranks.run(DraftPrefill(rows, shifted, starts))
        self._record(requests, sampled.tokens, sampled.logprobs)

    def _decode(self, running: list[Request]) -> None:
        logits = self._ranks.run(
            Decode(_get_rows(running), _get_last_tokens(running), _get_positions(running))
        )
        sampled = self._sample("decode", logits, running)
        self._record(running, sampled.tokens, sampled.logprobs)

    def _speculate(self, running: list[Request]) -> None:
        rows, positions = _get_rows(running), _get_positions(running)
        logits, drafts, parents = self._ranks.run(
            Speculate(rows, _get_last_tokens(running), positions)
        )
        sampled = self._sample("verify", logits, running)
        paths = [
            follow_accepted(*row)
            for row in zip(drafts.tolist(), parents.tolist(), sampled.tokens, strict=True)
        ]
        emitted = _pick_along(paths, sampled.tokens)
        self._ranks.run(Extend(rows, emitted, positions, paths))
        for request, tokens in zip(running, emitted, strict=True):
            request.accept_lengths.append(len(tokens))
        self._record(running, emitted, _pick_along(paths, sampled.logprobs))
        self.verified_rows += len(running)
        self.emitted_tokens += sum(map(len, emitted))

    def _record(
        self, requests: list[Request], tokens: list[list[int]], logprobs: list[list[float]]
    ) -> None:
        for request, emitted, row in zip(requests, tokens, logprobs, strict=True):
            self._scheduler.record(request, emitted, row)

    def _sample(self, role: str, logits: Tensor, requests: list[Request]) -> Sampled:
        logits = logits.float().cpu()
        check_finite(role, logits, [request.id for request in requests])
        temperatures = [request.temperature for request in requests]
        return sample(logits, temperatures, self._generator)


def check_finite(role: str, logits: Tensor, request_ids: list[int]) -> None:
    """Raise NanDetected naming the first request and position with a NaN logit."""
    bad = logits.isnan().any(-1)
    if bad.any():
        row, position = bad.nonzero()[0].tolist()
        raise NanDetected(f"NaN logits in {role}: request {request_ids[row]}, position {position}")


def _group_by_length(requests: list[Request], page_size: int) -> list[list[Request]]:
    """Return requests whose tokens to compute fit one rectangular batch, in order of arrival."""
    groups: dict[int, list[Request]] = {}
    for request in requests:
        left = len(request.context) - len(request.shared.nodes) * page_size
        groups.setdefault(left, []).append(request)
    return list(groups.values())


def _get_rows(requests: list[Request]) -> list[int]:
    return [request.row for request in requests if request.row is not None]


def _get_last_tokens(requests: list[Request]) -> list[int]:
    return [request.tokens[-1] for request in requests]


def _get_positions(requests: list[Request]) -> list[int]:
    return [request.last_position for request in requests]


def _pick_along(paths: list[list[int]], values: list[list[T]]) -> list[list[T]]:
    """Return each row's values at its path's nodes."""
    return [[row[node] for node in path] for path, row in zip(paths, values, strict=True)]

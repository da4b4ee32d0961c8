"""Which requests run: admission, growth, retraction, finishing and abort. Pure."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from harness.core.errors import UsageError
from harness.engine.cache.paging import Paging, Shared

FinishReason = Literal["stop", "length", "abort"]


@dataclass(slots=True, eq=False)
class Request:
    """One prompt and what came of it. `row` and `pages` are held while it runs.

    The first pages are `shared`; `computed` tokens have keys and values in the pool.
    `accept_lengths` holds the tokens that each verify step emitted, the bonus token included.
    """

    id: int
    prompt: list[int]
    max_new_tokens: int
    temperature: float
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    accept_lengths: list[int] = field(default_factory=list)
    row: int | None = None
    pages: list[int] = field(default_factory=list)
    shared: Shared = field(default_factory=Shared)
    computed: int = 0
    finish_reason: FinishReason | None = None

    @property
    def context(self) -> list[int]:
        """Everything that the next token depends on."""
        return [*self.prompt, *self.tokens]

    @property
    def last_position(self) -> int:
        """Position of the last token, whose keys and values are not in the pool yet."""
        return len(self.prompt) + len(self.tokens) - 1


class Scheduler:
    """First come, first served.

    A request is admitted with the pages of its context and its first step, and grows as it runs.
    Where the pool has no more, the last admitted gives up its pages and waits, before all others:
    it is computed again from its prompt and what it had answered. The first admitted always fits.
    """

    def __init__(
        self,
        paging: Paging,
        max_running: int,
        max_context: int,
        eos: Sequence[int],
        pages_needed: Callable[[int], int],
    ) -> None:
        """`pages_needed(tokens)`: the pages of a step after so many tokens, drafts included."""
        self.retractions = 0
        self.shared_pages = 0
        self._paging = paging
        self._max_context = max_context
        self._eos = frozenset(eos)
        self._pages_needed = pages_needed
        self._rows = list(range(max_running - 1, -1, -1))
        self._waiting: deque[Request] = deque()
        self._running: list[Request] = []
        self._next_id = 0

    @property
    def running(self) -> list[Request]:
        """The admitted requests, oldest first."""
        return list(self._running)

    @property
    def busy(self) -> bool:
        """Whether anything waits or runs."""
        return bool(self._waiting or self._running)

    def submit(self, prompt: Sequence[int], max_new_tokens: int, temperature: float) -> Request:
        """Queue a request. Raises UsageError where it can never run."""
        total = len(prompt) + max_new_tokens
        if not prompt or max_new_tokens < 1:
            raise UsageError("a request needs a token in its prompt and max_new_tokens above 0")
        if total > self._max_context:
            raise UsageError(
                f"a request of {len(prompt)} + {max_new_tokens} tokens exceeds max_context "
                f"{self._max_context}: shorten it, or raise max_context"
            )
        request = Request(self._next_id, list(prompt), max_new_tokens, temperature)
        self._next_id += 1
        self._waiting.append(request)
        return request

    def admit(self) -> list[Request]:
        """Move to running what rows and pages allow, and answer it."""
        admitted = []
        while self._waiting and self._rows:
            if not self._place(self._waiting[0]):
                break
            admitted.append(self._waiting.popleft())
        self._running += admitted
        return admitted

    def _place(self, request: Request) -> bool:
        """Give a row and pages: what others left of its context, and its own for the rest."""
        context = request.context
        shared = self._paging.share(context)
        own = self._paging.take(self._pages_needed(len(context) + 1) - len(shared.nodes))
        if own is None:
            self._paging.unshare(shared)
            return False
        request.shared, request.pages, request.row = shared, shared.pages + own, self._rows.pop()
        self.shared_pages += len(shared.nodes)
        return True

    def grow(self) -> tuple[list[Request], list[Request]]:
        """Give each running request the pages of its next step.

        Answers which got more pages, and which were retracted so that they could.
        """
        grown, retracted = [], []
        for request in self.running:
            while request.row is not None and (more := self._count_missing(request)) > 0:
                pages = self._paging.take(more)
                if pages is None:
                    retracted.append(self._retract())
                    continue
                request.pages += pages
                grown.append(request)
        return [request for request in grown if request.row is not None], retracted

    def _count_missing(self, request: Request) -> int:
        return self._pages_needed(len(request.prompt) + len(request.tokens)) - len(request.pages)

    def _retract(self) -> Request:
        """Send the last admitted back to the head of the queue."""
        request = self._running.pop()
        self._give_up(request)
        self._waiting.appendleft(request)
        self.retractions += 1
        return request

    def record(self, request: Request, tokens: Sequence[int], logprobs: Sequence[float]) -> None:
        """Append what a step emitted, up to an end token or the limit, which finish the request."""
        for token, logprob in zip(tokens, logprobs, strict=True):
            request.computed = len(request.prompt) + len(request.tokens)
            request.tokens.append(token)
            request.logprobs.append(logprob)
            if token in self._eos:
                return self._finish(request, "stop")
            if len(request.tokens) == request.max_new_tokens:
                return self._finish(request, "length")
        return None

    def abort(self, request_id: int) -> bool:
        """End one request, freeing what it owns. False where it is not waiting or running."""
        for request in (*self._waiting, *self._running):
            if request.id == request_id:
                self._finish(request, "abort")
                return True
        return False

    def abort_all(self) -> int:
        """End every request; answers how many there were."""
        ended = [*self._waiting, *self._running]
        for request in ended:
            self._finish(request, "abort")
        return len(ended)

    def _finish(self, request: Request, reason: FinishReason) -> None:
        request.finish_reason = reason
        if request.row is None:
            self._waiting.remove(request)
            return
        self._running.remove(request)
        self._give_up(request)

    def _give_up(self, request: Request) -> None:
        """Take back the row and the pages of a request that runs no more."""
        assert request.row is not None
        self._paging.give_back(request.context, request.computed, request.pages, request.shared)
        self._rows.append(request.row)
        request.pages, request.shared, request.row, request.computed = [], Shared(), None, 0

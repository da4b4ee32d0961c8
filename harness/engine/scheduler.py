"""Which requests run: admission, page ownership, finishing and abort. Pure: no torch, no I/O."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from harness.core.errors import UsageError

FinishReason = Literal["stop", "length", "abort"]


class Allocator(Protocol):
    """Where pages come from."""

    def allocate(self, count: int) -> list[int] | None:
        """`count` pages, or None where so many are not free."""

    def release(self, pages: list[int]) -> None:
        """Give pages back."""


@dataclass(slots=True, eq=False)
class Request:
    """One prompt and what came of it. `row` and `pages` are owned while it runs.

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
    finish_reason: FinishReason | None = None

    @property
    def last_position(self) -> int:
        """Position of the last token, whose keys and values are not in the pool yet."""
        return len(self.prompt) + len(self.tokens) - 1


class Scheduler:
    """First come, first served.

    A request takes all the pages it can ever need when it is admitted, so a running one never
    waits for memory; `pages_needed(tokens)` says how many that is.
    """

    def __init__(
        self,
        allocator: Allocator,
        max_running: int,
        max_context: int,
        eos: Sequence[int],
        pages_needed: Callable[[int], int],
    ) -> None:
        self._allocator = allocator
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
            head = self._waiting[0]
            needed = self._pages_needed(len(head.prompt) + head.max_new_tokens)
            pages = self._allocator.allocate(needed)
            if pages is None:
                break
            head.pages, head.row = pages, self._rows.pop()
            admitted.append(self._waiting.popleft())
        self._running += admitted
        return admitted

    def record(self, request: Request, tokens: Sequence[int], logprobs: Sequence[float]) -> None:
        """Append what a step emitted, up to an end token or the limit, which finish the request."""
        for token, logprob in zip(tokens, logprobs, strict=True):
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
        self._allocator.release(request.pages)
        self._rows.append(request.row)
        request.pages, request.row = [], None

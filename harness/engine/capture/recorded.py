"""Recorded graphs: what the runner captures on a machine without CUDA.

A dispatch mode records the ATen calls of one run. Every tensor that the run makes gets a fixed
address in one arena that all graphs of the pool share; replaying repeats the calls on those
addresses without running the Python that made them. As on CUDA, a block is free again once its
storage has died during capture, and the next graph may take it, so a graph that keeps an address
it no longer owns reads or overwrites another's memory, the same way on every run.

How this differs from CUDA graphs, which these are not:

- capture also executes the calls, where CUDA only records kernels;
- a call is an ATen operator, not a kernel: memory it uses inside is outside the arena;
- replay is synchronous and serial, so races between streams do not exist;
- a wild address inside the arena corrupts silently and one outside it ends the process: there is
  no illegal-access error to catch;
- Python reading memory behind the dispatcher (`.tolist()`, `.numpy()`) and work on other threads
  are not seen. `.item()` and operators whose shapes depend on values raise CaptureError.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from harness.engine.capture.arena_memory import ARENA_BYTES, Arena
from harness.engine.capture.arguments import iterate_tensors, map_tensors
from harness.engine.capture.graph import SHARED, CaptureError, Graph, Outputs

Call = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Operation:
    """One recorded call, as who looks at a graph sees it: an operator on fixed addresses."""

    function: Any
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    results: tuple[Tensor, ...] = ()
    """What it rewrites beside the arguments that it changes."""

    @property
    def name(self) -> str:
        """The operator, such as `aten.add.Tensor`."""
        return str(self.function)

    def list_accesses(self) -> Iterator[tuple[str, Tensor, bool, bool]]:
        """Yield (parameter, tensor, is read, is written) of each tensor that it uses."""
        overwrites = self.function._schema.name in _OVERWRITING
        parameters = self.function._schema.arguments
        # A schema lists what is given by position first, and then what only a keyword can give.
        for place, parameter in enumerate(parameters):
            if place < len(self.arguments):
                value = self.arguments[place]
            else:
                value = self.keywords.get(parameter.name)
            written = parameter.alias_info is not None and parameter.alias_info.is_write
            for tensor in iterate_tensors(value):
                yield parameter.name, tensor, not (written and overwrites), written
        for tensor in self.results:
            yield "result", tensor, False, True


#: Operators that write the argument they change and do not read it.
_OVERWRITING = {"aten::copy_", "aten::fill_", "aten::zero_"}


class RecordedGraph:
    """One recording. `addresses` of what it writes stay fixed for its life."""

    def __init__(self, calls: list[Call], outputs: Outputs, operations: list[Operation]) -> None:
        self._calls = calls
        self._outputs = outputs
        self.operations = operations
        """What its calls do, in order. Tensors in them keep no block of the arena in use."""

    @property
    def outputs(self) -> Outputs:
        """The recorded function's answer, rewritten in place by every replay."""
        return self._outputs

    @torch.inference_mode()
    def replay(self) -> None:
        """Repeat the calls, in order."""
        for call in self._calls:
            call()


class RecordedMemory:
    """The pools of an engine's recorded graphs, in one arena."""

    kind: Literal["cuda", "recorded"] = "recorded"

    def __init__(self, capacity: int = ARENA_BYTES) -> None:
        self.arena = self._arena = Arena(capacity)

    @torch.inference_mode()
    def warm_up(self, function: Callable[[], Outputs]) -> None:
        """Run the function unrecorded."""
        function()

    @torch.inference_mode()
    def capture(self, function: Callable[[], Outputs], pool: str = SHARED) -> Graph:
        """Record one call of the function. Raises CaptureError where a graph cannot hold it."""
        recorder = _Recorder(self._arena, pool)
        with recorder:
            outputs = function()
        return RecordedGraph(recorder.calls, outputs, recorder.operations)

    def free_bytes(self) -> int:
        """Bytes of the arena that no segment has reserved."""
        return self._arena.blocks.capacity - self._arena.blocks.reserved

    def total_bytes(self) -> int:
        """Bytes of the arena."""
        return self._arena.blocks.capacity

    def pool_bytes(self) -> dict[str, int]:
        """Bytes of each pool's segments of the arena."""
        return dict(self._arena.blocks.reserved_by_pool)

    def peak_bytes(self) -> int:
        """The most bytes in use at once so far."""
        return self._arena.blocks.peak

    def close(self) -> None:
        """Forget the blocks of graphs that are gone; the memory goes with the last tensor."""
        self._arena.collect()


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs each call, puts what it made into the arena, and notes how to repeat it."""

    def __init__(self, arena: Arena, pool: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[Call] = []
        self.operations: list[Operation] = []
        self._arena = arena
        self._pool = pool

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Otherwise the first call under the mode imports the compiler: two seconds per process.
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        _refuse_value_reads(func, args)
        result = func(*args, **kwargs)
        if func.namespace == "c10d":
            self.calls.append(_wait_for(func, *self._note(func, args, kwargs)))
            return result
        if func._schema.is_mutable:
            self.calls.append(_bind(func, *self._note(func, args, kwargs)))
            return result
        return self._keep_results(func, args, kwargs, result)

    def _keep_results(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> Any:
        """Views stay views, of fixed storage; fresh tensors move into the arena."""
        inputs = {_get_storage(tensor) for tensor in iterate_tensors((args, kwargs))}
        made = list(iterate_tensors(result))
        placed: dict[int, Tensor] = {}
        for tensor in made:
            if _get_storage(tensor) not in inputs:
                placed[id(tensor)] = self._arena.place(tensor, self._pool).copy_(tensor)
        if not placed:
            return result
        if "empty" not in func._schema.name:
            twins = [
                self._arena.twin(placed[id(tensor)]) if id(tensor) in placed else None
                for tensor in made
            ]
            written = tuple(twin for twin in twins if twin is not None)
            fixed = self._note(func, args, kwargs, written)
            self.calls.append(_rewrite_result(func, *fixed, twins))
        return map_tensors(lambda tensor: placed.get(id(tensor), tensor), result)

    def _note(
        self,
        func: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        results: tuple[Tensor, ...] = (),
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Add one operation. Return its arguments as they are repeated."""
        fixed = self._fix_addresses(args, kwargs)
        self.operations.append(Operation(func, *fixed, results))
        return fixed

    def _fix_addresses(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with the arena's tensors replaced by twins; all others are held.

        Held under another tensor of the same storage: how often that is held then says whether
        anybody but graphs still has it, which on CUDA would be freed if nobody had.
        """

        def fix(tensor: Tensor) -> Tensor:
            return self._arena.twin(tensor) if self._arena.holds(tensor) else tensor.detach()

        fixed: tuple[tuple[Any, ...], dict[str, Any]] = map_tensors(fix, (args, kwargs))
        return fixed


def _get_storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _refuse_value_reads(func: Any, args: tuple[Any, ...]) -> None:
    if _reads_values(func, args):
        raise CaptureError(
            f"{func} depends on a tensor's values, which a graph does not know at capture; "
            f"keep the value on the device, or move the call out of the captured function"
        )


def _reads_values(func: Any, args: tuple[Any, ...]) -> bool:
    if func is torch.ops.aten.index.Tensor:
        # Tagged as dynamic for its masks' sake; with numbers its shape is known.
        return any(index is not None and index.dtype is torch.bool for index in args[1])
    tags = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)
    # `bool(tensor)` carries no tag, and stays composite in inference mode.
    return func is torch.ops.aten.is_nonzero.default or any(tag in func.tags for tag in tags)


def _bind(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    return functools.partial(func, *args, **kwargs)


def _wait_for(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    def call() -> None:
        # The last value is the Work: without waiting, the next call would read half a sum.
        func(*args, **kwargs)[-1].wait()

    return call


def _rewrite_result(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], twins: list[Tensor | None]
) -> Call:
    """Repeat a functional call into its fixed block, directly where the operator can."""
    out = _find_out_variant(func)
    if out is not None and len(twins) == 1:
        return functools.partial(out[0], *args, **kwargs, **{out[1]: twins[0]})

    def call() -> None:
        leaves = iterate_tensors(func(*args, **kwargs))
        for twin, leaf in zip(twins, leaves, strict=True):
            if twin is not None:
                twin.copy_(leaf)

    return call


@functools.cache
def _find_out_variant(func: Any) -> tuple[Any, str] | None:
    """The overload that writes its one result to an `out` argument and is otherwise the same."""
    wanted = [(argument.name, str(argument.type)) for argument in func._schema.arguments]
    for name in func.overloadpacket.overloads():
        overload = getattr(func.overloadpacket, name)
        outs = [argument for argument in overload._schema.arguments if argument.is_out]
        rest = [(a.name, str(a.type)) for a in overload._schema.arguments if not a.is_out]
        if len(outs) == 1 and rest == wanted:
            return overload, outs[0].name
    return None

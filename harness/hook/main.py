"""The start-up hook, and what its parts may rely on.

HARNESS_HOOK lists the parts of this attempt: `report,order:ascending,audit`, each a name of
`registry.py` and, after a colon, an argument. HARNESS_HOOK_FOLDER is the folder that processes
write what they observe to. Without HARNESS_HOOK nothing is done.

**A part** is a module `parts/NAME.py` with one function:

    make_part(argument: str, channel: Channel) -> object

called once in each process, when the first module that the part waits for (`registry.py`) has been
imported. torch is never imported by the hook. The object has any of these methods; one that it
lacks costs nothing:

    on_import(module)              a module that the part waits for was just executed; torch's
                                   graph classes are wrapped already
    on_memory(memory)              the memory that recorded graphs will use was made
    change_graph_arguments(kwargs) torch.cuda.CUDAGraph(...) is about to be made: the keyword
                                   arguments may be changed in place (`keep_graph`)
    before_capture(capture)        on the capturing thread and stream, just before capture begins
    on_capture_begun(capture)      the stream captures: what is allocated on it from here on is the
                                   graph's. CUDA graphs alone
    after_capture(capture)         capture has ended, the graph exists; or `capture.error` says why
                                   it does not
    before_replay(capture)         just before each launch of the graph
    after_replay(capture)          the launch was issued; nothing was waited for

`capture` is a `Capture` (`events.py`): one object for the graph's whole life. Recorded graphs of
this project's engine (CPU) give the same events as CUDA graphs, with `capture.kind` "recorded".

Rules. What `make_part` raises, for a wrong argument say, passes through as HookRefusal. Whatever a
method raises is reported once, and the method is then not called again, so that a part never breaks
the suite; only `HookRefusal` passes through, for a part that must not go on in silence. Parts run
in the order of HARNESS_HOOK. A method may be called from several threads at once, never from two
for one capture. `channel.emit("NAME", **keys)` writes one line `hook_NAME` to this process's file:
it is on its way to the disk when `emit` returns, so that it survives the process's death.
"""

from __future__ import annotations

import sys

from . import imports
from .channel import Channel
from .refusal import HookRefusal
from .registry import GRAPH_MODULES, PARTS, parse_parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType
    from typing import Any

    from . import cuda


class Hook:
    """The parts of one process, and the calls to them."""

    def __init__(self, parts: Mapping[str, str], channel: Channel) -> None:
        self.channel = channel
        self._arguments = dict(parts)
        self._made: dict[str, object] = {}
        self._broken: set[tuple[int, str]] = set()

    def watch(self) -> None:
        """Wait for the modules of all parts; those that are imported already count at once."""
        wanted = {module for name in self._arguments for module in PARTS[name]}
        imports.watch(dict.fromkeys(wanted, self._on_import))

    def list_handlers(self, method: str) -> list[cuda.Handler]:
        """Return the bound methods of this name, of all parts that have one, in order."""
        found = ((part, getattr(part, method, None)) for part in self._made.values())
        return [self._guard(part, method, handler) for part, handler in found if handler]

    def _on_import(self, module: ModuleType) -> None:
        concerned = [name for name in self._arguments if module.__name__ in PARTS[name]]
        for name in concerned:
            self._make_part(name)
        if module.__name__ in GRAPH_MODULES:
            _wrap(module, self.list_handlers)
        for name in concerned:
            part = self._made.get(name)
            handler = getattr(part, "on_import", None)
            if handler is not None:
                self._guard(part, "on_import", handler)(module)

    def _make_part(self, name: str) -> None:
        if name in self._made:
            return
        module = imports.load_part(name)
        try:
            self._made[name] = module.make_part(self._arguments[name], self.channel)
        except Exception as error:
            self.channel.emit("refusal", text=f"{name}: {error}")
            raise HookRefusal(f"{name}: {error}") from error

    def _guard(self, part: object, method: str, handler: cuda.Handler) -> cuda.Handler:
        key = (id(part), method)

        def call(*arguments: Any) -> None:
            if key in self._broken:
                return
            try:
                handler(*arguments)
            except HookRefusal as refusal:
                self.channel.emit("refusal", text=str(refusal))
                raise
            except Exception as error:
                self._broken.add(key)
                self.channel.emit_error(f"{type(part).__module__}.{method}", error)

        return call


def _wrap(module: ModuleType, list_handlers: cuda.ListHandlers) -> None:
    if module.__name__ == "torch.cuda.graphs":
        from . import cuda

        cuda.wrap_module(module, list_handlers)
    else:
        from . import recorded

        recorded.wrap_module(module, list_handlers)


def begin(environ: Mapping[str, str]) -> Hook:
    """Begin in this process. Raises ValueError for a HARNESS_HOOK that names no part."""
    channel = Channel(environ.get("HARNESS_HOOK_FOLDER", ""), environ.get("HARNESS_RANK", "0"))
    try:
        parts = parse_parts(environ["HARNESS_HOOK"])
    except ValueError as error:
        channel.emit("refusal", text=str(error))
        raise
    hook = Hook(parts, channel)
    hook.watch()
    # For tests and debuggers: sys.modules["_harness_hook"].hook.
    vars(sys.modules[__package__ or __name__])["hook"] = hook
    return hook

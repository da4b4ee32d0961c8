"""`order:ascending`: turns the capture order of every engine that there is an overlay for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..ordering import Ordering
from ..overlays import patching
from ..overlays.rows import ENGINES

if TYPE_CHECKING:
    from types import ModuleType

    from ..channel import Channel
    from ..overlays.rows import Engine


class OrderOverlay:
    """Patches the modules of some engines as they are imported."""

    def __init__(self, order: str, channel: Channel, engines: tuple[Engine, ...]) -> None:
        seed = os.environ.get("HARNESS_SEED", "0")
        self._ordering = Ordering(order, int(seed) if seed.isdigit() else 0)
        self._channel = channel
        self._targets = {
            target.module: (engine, target) for engine in engines for target in engine.targets
        }

    def on_import(self, module: ModuleType) -> None:
        """Patch it. Raises HookRefusal if it is not the code that the overlay is written for."""
        engine, target = self._targets[module.__name__]
        patched = patching.patch_module(engine, target, module, self._ordering)
        if patched:
            self._channel.emit(
                "order",
                order=self._ordering.order,
                engine=engine.name,
                version=patching.read_version(engine.name),
                module=module.__name__,
                patched=patched,
            )


def make_part(argument: str, channel: Channel) -> OrderOverlay:
    """Return the part for every engine. Raises ValueError for an order that does not exist."""
    return OrderOverlay(argument, channel, ENGINES)

"""The parts of the hook, by name: one module in `parts/` each, and the modules that it waits for.

A part costs nothing until one of its modules is imported.
"""

from __future__ import annotations

from .ordering import ORDERS
from .overlays.rows import ENGINES, SGLANG, VLLM, list_modules

#: Where graphs are captured: torch's, and those that this project's engine records on a CPU.
GRAPH_MODULES = ("torch.cuda.graphs", "harness.engine.capture.recorded")

#: Name in HARNESS_HOOK -> the modules whose import makes the part. `parts/NAME.py`, `-` as `_`.
PARTS: dict[str, tuple[str, ...]] = {
    "report": GRAPH_MODULES,
    "audit": (*GRAPH_MODULES, "torch.cuda"),
    "amplify": GRAPH_MODULES,
    "order": list_modules(*ENGINES),
    "sglang-order": list_modules(SGLANG),
    "vllm-order": list_modules(VLLM),
    # Imported long before any module of the suite.
    "torch-order": ("os", "_pytest.assertion.rewrite"),
}

#: Parts that turn capture orders. Their argument is an order; without one, the cell's.
ORDER_PARTS = tuple(name for name in PARTS if name.rpartition("-")[2] == "order")


def parse_parts(text: str) -> dict[str, str]:
    """Return the parts that HARNESS_HOOK lists, in order, with their arguments.

    Raises ValueError naming a part or a capture order that does not exist.
    """
    parts = {}
    for item in filter(None, text.split(",")):
        name, _, argument = item.partition(":")
        if name not in PARTS:
            raise ValueError(
                f"{name!r} is no part of the start-up hook: choose from {', '.join(PARTS)}"
            )
        if name in ORDER_PARTS and argument not in ("", *ORDERS):
            raise ValueError(f"{item}: no capture order; choose from {', '.join(ORDERS)}")
        parts[name] = argument
    return parts

"""The parts of the hook, by name: one module in `parts/` each, and the modules that it waits for.

A part costs nothing until one of its modules is imported.
"""

from .overlays.rows import ENGINES, SGLANG, VLLM, list_modules

#: Where graphs are captured: torch's, and those that this project's engine records on a CPU.
GRAPH_MODULES = ("torch.cuda.graphs", "harness.engine.capture.recorded")

#: Name in HARNESS_HOOK -> the modules whose import makes the part. `parts/NAME.py`, `-` as `_`.
PARTS: dict[str, tuple[str, ...]] = {
    "report": GRAPH_MODULES,
    "audit": (*GRAPH_MODULES, "torch.cuda"),
    "order": list_modules(*ENGINES),
    "sglang-order": list_modules(SGLANG),
    "vllm-order": list_modules(VLLM),
}

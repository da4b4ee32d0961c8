"""The rows that describe overlays. Light: read as each process of an attempt starts."""

from __future__ import annotations


class Target:
    """One module of an engine, and how the order of its captures is turned.

    `how`: with `reversed`, the module's name `reversed` is replaced, and `expected` are the
    arguments that its calls have. With `dispatcher` and `manager` a method is wrapped, and
    `expected` are texts that the source holds.
    """

    __slots__ = ("below", "expected", "first", "how", "module", "refused_outside")

    def __init__(
        self, module: str, how: str, expected: tuple[str, ...], first: str, below: str
    ) -> None:
        self.module = module
        self.how = how
        self.expected = expected
        self.first = first
        """The first version of the engine that has this code."""
        self.below = below
        """The first version that has not."""
        self.refused_outside = how == "manager"
        """Older versions capture here too, in a way that cannot be turned."""


class Engine:
    """An engine whose capture order can be turned."""

    __slots__ = ("below", "first", "name", "targets")

    def __init__(self, name: str, first: str, below: str, targets: tuple[Target, ...]) -> None:
        self.name = name
        self.first = first
        """The first version that the overlay is for."""
        self.below = below
        """The first version that it is not for."""
        self.targets = targets


_RUNNERS = "sglang.srt.model_executor"
_TOKENS = ("self.capture_num_tokens",)

SGLANG = Engine(
    "sglang",
    "0.5.5",
    "0.6",
    (
        Target(f"{_RUNNERS}.cuda_graph_runner", "reversed", ("self.capture_bs",), "0.5.5", "0.6"),
        Target(f"{_RUNNERS}.piecewise_cuda_graph_runner", "reversed", _TOKENS, "0.5.5", "0.6"),
        Target(f"{_RUNNERS}.breakable_cuda_graph_runner", "reversed", _TOKENS, "0.5.5", "0.6"),
        Target(
            f"{_RUNNERS}.runner.decode_cuda_graph_runner",
            *("reversed", ("self.capture_bs",), "0.5.5", "0.6"),
        ),
        Target(f"{_RUNNERS}.runner.prefill_cuda_graph_runner", "reversed", _TOKENS, "0.5.5", "0.6"),
        Target(
            f"{_RUNNERS}.runner_backend.tc_piecewise_cuda_graph_backend",
            *("reversed", ("cuda_graph_runner.capture_num_tokens",), "0.5.5", "0.6"),
        ),
        Target(
            "sglang.srt.speculative.multi_layer_eagle_draft_extend_cuda_graph_runner",
            *("reversed", ("first.capture_bs",), "0.5.20", "0.6"),
        ),
    ),
)

VLLM = Engine(
    "vllm",
    "0.11",
    "1",
    (
        Target(
            "vllm.v1.worker.gpu_model_runner",
            "reversed",
            ("self.cudagraph_batch_sizes", "decode_cudagraph_batch_sizes", "attn_layers"),
            "0.11",
            "0.15",
        ),
        Target(
            "vllm.v1.cudagraph_dispatcher",
            *("dispatcher", ("def get_capture_descs", "d.num_tokens", "reverse=True")),
            *("0.15", "1"),
        ),
        Target(
            "vllm.v1.worker.gpu.cudagraph_utils",
            *("manager", ("self._capture_descs[mode] = descs", "d.num_tokens", "reverse=True")),
            *("0.18", "1"),
        ),
    ),
)

ENGINES = (SGLANG, VLLM)


def list_modules(*engines: Engine) -> tuple[str, ...]:
    """Return the modules that overlays of these engines wait for."""
    return tuple(target.module for engine in engines for target in engine.targets)

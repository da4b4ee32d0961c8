"""The engine's arguments, each declared once: name, parser, default, help, and if it may vary.

Everything that must know them reads this table: the engine's configuration, the axes that a plan
may have, the refusal of a value, `--axis` help and docs/reference/engine-arguments.md. No torch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from harness.core import argument_parsers as parsers
from harness.core.argument_parsers import Parser
from harness.core.capture import CapturePhases, PoolSharing
from harness.core.cell import ENV_PREFIX
from harness.core.errors import UsageError, unknown_value
from harness.core.order import CaptureOrder
from harness.core.speculation import DEFAULTS
from harness.core.suite import BACKEND_ROLES, DEFAULT_BACKEND

#: Stands for all three `BACKEND_ROLES`.
BACKEND = "backend"

_BACKEND_NAME = parsers.parse_text("the name of a backend that `harness doctor` lists")


@dataclass(frozen=True, slots=True)
class EngineArgument:
    """One row of the table. `default` is None also for an argument that must be given."""

    name: str
    parser: Parser[Any]
    default: Any
    help: str
    fixed_by: str = ""
    """What decides this argument instead of an axis; empty if it may be an axis."""

    def read(self, value: object) -> Any:
        """Return the parsed value. Raises UsageError naming the argument and what it takes."""
        try:
            return self.parser.parse(value)
        except ValueError:
            raise UsageError(
                f"engine argument {self.name!r} cannot be {value!r}: give {self.parser.wanted}"
            ) from None


def _argument(parser: Parser[Any], default: Any = MISSING, *, help: str, fixed_by: str = "") -> Any:
    return field(default=default, metadata={"parser": parser, "help": help, "fixed_by": fixed_by})


@dataclass(frozen=True, slots=True)
class EngineArguments:
    """The arguments of one engine, parsed. Sizes are in tokens unless they say otherwise."""

    model: str = _argument(
        parsers.parse_text("the folder of a checkpoint"), help="folder of the target's checkpoint"
    )
    draft_model: str | None = _argument(
        parsers.parse_optional_text("the folder of a checkpoint"),
        None,
        help="folder of the EAGLE head's checkpoint; needed with `speculative`",
    )
    load_format: str = _argument(
        parsers.parse_name("safetensors", "dummy"),
        "safetensors",
        help="`dummy` draws weights and reads `config.json` alone",
    )
    order: CaptureOrder = _argument(
        parsers.parse_member(CaptureOrder),
        CaptureOrder.GATE,
        help="order in which batch sizes are captured; `gate`: the ordering gate decides",
    )
    capture_phases: CapturePhases = _argument(
        parsers.parse_member(CapturePhases),
        CapturePhases.INTERLEAVED,
        help="warm up each shape just before its capture, or all shapes before the first capture",
    )
    pool_sharing: PoolSharing = _argument(
        parsers.parse_member(PoolSharing),
        PoolSharing.SHARED,
        help="which graphs share one memory pool",
    )
    prefill_backend: str = _argument(
        _BACKEND_NAME, DEFAULT_BACKEND, help="attention backend of the prompts"
    )
    decode_backend: str = _argument(
        _BACKEND_NAME, DEFAULT_BACKEND, help="attention backend of `decode` and `verify`"
    )
    draft_backend: str = _argument(
        _BACKEND_NAME, DEFAULT_BACKEND, help="attention backend of the draft head"
    )
    attention_splits: int = _argument(
        parsers.parse_whole(low=0, zero="the kernel chooses"),
        0,
        help="KV splits of an attention kernel, fixed at capture",
    )
    tp: int = _argument(
        parsers.parse_whole(low=1), 1, help="tensor-parallel size: ranks that share the model"
    )
    cpu_collectives: str = _argument(
        parsers.parse_name("shared-memory", "gloo"),
        "shared-memory",
        help="how ranks on the CPU of one host exchange tensors; on CUDA it is NCCL",
    )
    seed: int = _argument(
        parsers.parse_whole(), 0, help="seed of sampling", fixed_by="the attempt's seed"
    )
    cuda_graph_bs: tuple[int, ...] = _argument(
        parsers.parse_batch_sizes(),
        (1, 2, 4, 8),
        help="batch sizes to capture; on an axis 1:2:4,1:8",
    )
    max_running: int = _argument(
        parsers.parse_whole(low=1), 8, help="requests that run at once at most"
    )
    page_size: int = _argument(
        parsers.parse_whole(low=1), 1, help="tokens per page of the KV pool, 1 to 256"
    )
    max_context: int = _argument(
        parsers.parse_whole(low=1), 160, help="tokens of one request at most, answer included"
    )
    max_total_tokens: int = _argument(
        parsers.parse_whole(low=0, zero="enough for `max_running` requests"),
        0,
        help="tokens of the KV pool",
    )
    prefix_cache: bool = _argument(
        parsers.parse_truth(),
        True,
        help="keep the pages of ended requests for prompts that share them",
    )
    speculative: bool = _argument(parsers.parse_truth(), True, help="decode with EAGLE drafts")
    spec_steps: int = _argument(
        parsers.parse_whole(low=1), DEFAULTS["spec_steps"], help="drafted tokens in a row, 1 to 8"
    )
    spec_topk: int = _argument(
        parsers.parse_whole(low=1),
        DEFAULTS["spec_topk"],
        help="tokens tried after each; 1 drafts a chain, 2 to 8 a draft tree",
    )
    spec_draft_tokens: int = _argument(
        parsers.parse_whole(low=0, zero="as many as steps and topk allow, 64 at most"),
        DEFAULTS["spec_draft_tokens"],
        help="tokens verified in one step, the last known one included",
    )
    temperature: float = _argument(
        parsers.parse_number(low=0, zero="greedy"),
        0.0,
        help="sampling temperature, unless asked for",
    )
    device: str = _argument(
        parsers.parse_name("cpu", "cuda"), "cpu", help="where the engine runs", fixed_by="--device"
    )
    dtype: str = _argument(
        parsers.parse_name("float32", "bfloat16", "float16"),
        "float32",
        help="type of weights and activations; bfloat16 unless given on CUDA",
    )
    graphs: bool = _argument(parsers.parse_truth(), True, help="capture graphs; false runs eagerly")
    barrier_timeout_s: float = _argument(
        parsers.parse_number(above=0),
        20.0,
        help="seconds that a rank waits for others before a capture",
    )
    collective_timeout_s: float = _argument(
        parsers.parse_number(above=0), 60.0, help="seconds that a rank waits in a collective"
    )
    in_ci: bool = _argument(
        parsers.parse_truth(),
        False,
        help="what the ordering gate takes for CI",
        fixed_by="the driver's environment",
    )


ARGUMENTS: Mapping[str, EngineArgument] = {
    one.name: EngineArgument(
        one.name, default=None if one.default is MISSING else one.default, **one.metadata
    )
    for one in fields(EngineArguments)
}

#: Every axis that the engine reads; a suite's own `engine_args` may add others.
AXES: tuple[str, ...] = (
    BACKEND,
    *(name for name, argument in ARGUMENTS.items() if not argument.fixed_by),
)


def default_dtype(device: str) -> str:
    """Return the dtype of an engine on `device` that is given none."""
    return "bfloat16" if device == "cuda" else str(ARGUMENTS["dtype"].default)


def expand_backend(values: Mapping[str, object]) -> dict[str, object]:
    """Return the arguments among `values`: `backend` as all three roles, no environment axis."""
    plain = {
        name: value
        for name, value in values.items()
        if not name.startswith(ENV_PREFIX) and name != BACKEND
    }
    if BACKEND not in values:
        return plain
    return {**dict.fromkeys(BACKEND_ROLES, values[BACKEND]), **plain}


def read_arguments(values: Mapping[str, object]) -> dict[str, Any]:
    """Parse every value. Raises UsageError for an unknown name and for a value it cannot have."""
    for name in values:
        if name not in ARGUMENTS:
            raise unknown_value("engine argument", name, sorted(ARGUMENTS))
    return {name: ARGUMENTS[name].read(value) for name, value in values.items()}


def check_axis(name: str, values: Iterable[object], declared: Iterable[str] = ()) -> None:
    """Raise UsageError if the engine cannot vary `name`, or if it cannot take one of the values.

    declared: names that suites declare in `engine_args`; they may be axes whatever they mean.
    """
    argument = ARGUMENTS.get(name)
    if argument is not None and argument.fixed_by:
        raise UsageError(f"axis {name!r}: {argument.fixed_by} decides it, so it cannot vary")
    if argument is not None:
        for value in values:
            argument.read(value)
    elif name != BACKEND and name not in declared and not name.startswith(ENV_PREFIX):
        known = ", ".join(sorted({*AXES, *declared}))
        raise UsageError(
            f"unknown axis {name!r}: choose from {known}, "
            "or vary an environment variable with --env"
        )

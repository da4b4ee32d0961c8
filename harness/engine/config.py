"""What an engine is built from: the checkpoint's shape and the cell's choices. Pure."""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass

from harness.core.capture import CapturePhases, PoolSharing, parse_phases, parse_sharing
from harness.core.cell import ENV_PREFIX
from harness.core.errors import UsageError, unknown_value
from harness.core.order import CaptureOrder, ordering_gate, parse_order
from harness.core.speculation import DEFAULTS, NO_DRAFTS, SpecShape, check_spec
from harness.core.suite import BACKEND_ROLES

DEVICES = ("cpu", "cuda")
#: Below this vocabulary gathering the ranks' logits takes longer than computing them all.
SPLIT_VOCABULARY = 4096
LOAD_FORMATS = ("safetensors", "dummy")
MAX_PAGE_SIZE = 256
DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A Llama decoder's shape, as its Hugging Face `config.json` states it."""

    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    vocab_size: int
    rms_norm_eps: float
    rope_theta: float
    max_position_embeddings: int
    tie_word_embeddings: bool
    eos_token_ids: tuple[int, ...]

    @property
    def splits_vocabulary(self) -> bool:
        """Whether ranks share `lm_head`; each holds a small one whole."""
        return self.vocab_size >= SPLIT_VOCABULARY


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Everything one engine is built from. Built by `build_config`; sizes are in tokens."""

    model: str
    draft_model: str | None = None
    load_format: str = "safetensors"
    order: CaptureOrder = CaptureOrder.GATE
    capture_phases: CapturePhases = CapturePhases.INTERLEAVED
    pool_sharing: PoolSharing = PoolSharing.SHARED
    prefill_backend: str = "torch_native"
    decode_backend: str = "torch_native"
    draft_backend: str = "torch_native"
    attention_splits: int = 0
    tp: int = 1
    seed: int = 0
    cuda_graph_bs: tuple[int, ...] = (1, 2, 4, 8)
    max_running: int = 8
    page_size: int = 1
    max_context: int = 160
    max_total_tokens: int = 0
    prefix_cache: bool = True
    speculative: bool = True
    spec_steps: int = DEFAULTS["spec_steps"]
    spec_topk: int = DEFAULTS["spec_topk"]
    spec_draft_tokens: int = DEFAULTS["spec_draft_tokens"]
    temperature: float = 0.0
    device: str = "cpu"
    dtype: str = "float32"
    graphs: bool = True
    barrier_timeout_s: float = 20.0
    collective_timeout_s: float = 60.0
    in_ci: bool = False

    @property
    def spec(self) -> SpecShape:
        """What is drafted per step; nothing without speculation."""
        if not self.speculative:
            return NO_DRAFTS
        return SpecShape(self.spec_steps, self.spec_topk, self.spec_draft_tokens)

    @property
    def query_len(self) -> int:
        """Tokens per request in one verify (or decode) step: the last one and its drafts."""
        return self.spec.nodes

    @property
    def max_bs(self) -> int:
        """Rows of every static buffer."""
        return max(self.max_running, *self.cuda_graph_bs)

    @property
    def logit_rows(self) -> int:
        """Rows of the one buffer that every graph's logits are written to."""
        return self.max_bs * max(self.query_len, self.spec.topk)

    @property
    def pages_per_row(self) -> int:
        """Width of the page table: a step also writes its drafts, past the context."""
        return pages_for(self.max_context + self.spec.slots, self.page_size)

    @property
    def num_pages(self) -> int:
        """Pages of the KV pool, page 0 included, which padding rows write to."""
        tokens = self.max_total_tokens or self.max_running * self.pages_per_row * self.page_size
        return pages_for(tokens, self.page_size) + 1

    @property
    def resolved_order(self) -> CaptureOrder:
        """The order captured in: the gate's answer where the gate was asked for."""
        if self.order is not CaptureOrder.GATE:
            return self.order
        return ordering_gate(
            self.in_ci, self.prefill_backend, self.decode_backend, self.draft_backend
        )

    def as_dict(self) -> dict[str, typing.Any]:
        """The configuration as a JSON object, for the followers."""
        return dataclasses.asdict(self)


def config_from_dict(values: Mapping[str, typing.Any]) -> EngineConfig:
    """Inverse of `EngineConfig.as_dict`, after JSON."""
    return EngineConfig(
        **{
            **values,
            "cuda_graph_bs": tuple(values["cuda_graph_bs"]),
            "order": CaptureOrder(values["order"]),
            "capture_phases": CapturePhases(values["capture_phases"]),
            "pool_sharing": PoolSharing(values["pool_sharing"]),
        }
    )


def pages_for(tokens: int, page_size: int) -> int:
    """Pages that hold `tokens` tokens."""
    return -(-tokens // page_size)


def build_config(
    engine_args: Mapping[str, object], cell: Mapping[str, object], environ: Mapping[str, str]
) -> EngineConfig:
    """Merge a suite's arguments, its cell and the rank's environment; the cell wins.

    Raises UsageError for an unknown or ill-typed argument and for values that cannot go together.
    """
    merged = {**_from_environ(environ), **_expand(engine_args), **_expand(cell)}
    fields = {field.name: field for field in dataclasses.fields(EngineConfig)}
    for name in merged:
        if name not in fields:
            raise unknown_value("engine argument", name, sorted(fields))
    if "model" not in merged:
        raise UsageError("no model: give engine_args a 'model' path to a checkpoint folder")
    merged.setdefault("dtype", "bfloat16" if merged.get("device") == "cuda" else "float32")
    hints = typing.get_type_hints(EngineConfig)
    config = EngineConfig(**{name: _coerce(name, v, hints[name]) for name, v in merged.items()})
    _check(config, environ)
    return config


def _from_environ(environ: Mapping[str, str]) -> dict[str, object]:
    """Defaults that the supervisor gives every rank of an attempt."""
    names = {"HARNESS_SEED": "seed", "WORLD_SIZE": "tp", "HARNESS_DEVICE": "device"}
    found: dict[str, object] = {key: environ[v] for v, key in names.items() if environ.get(v)}
    found["in_ci"] = environ.get("HARNESS_IN_CI") == "1"
    return found


def _expand(values: Mapping[str, object]) -> dict[str, object]:
    """`backend` stands for all three roles; environment axes are set by the supervisor."""
    plain = {k: v for k, v in values.items() if not k.startswith(ENV_PREFIX) and k != "backend"}
    if "backend" not in values:
        return plain
    return {**dict.fromkeys(BACKEND_ROLES, values["backend"]), **plain}


def _coerce(name: str, value: object, hint: object) -> typing.Any:
    """Read one argument as its field's type; texts are taken, since cells hold texts."""
    try:
        return _READERS[hint](value)
    except (ValueError, TypeError):
        raise UsageError(
            f"engine argument {name!r} cannot be {value!r}: {_WANTED[hint]} is needed"
        ) from None


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError
    return int(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    return float(value)


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    return {"0": False, "1": True, "false": False, "true": True}[str(value).lower()]


def _truth_or_raise(value: object) -> bool:
    try:
        return _truth(value)
    except KeyError:
        raise ValueError from None


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def _sizes(value: object) -> tuple[int, ...]:
    if isinstance(value, int | str):
        value = str(value).split(",")
    if not isinstance(value, list | tuple) or not value:
        raise TypeError
    return tuple(sorted({_whole(size) for size in value}))


_READERS: dict[object, typing.Callable[[object], object]] = {
    int: _whole,
    float: _number,
    bool: _truth_or_raise,
    str: _text,
    str | None: lambda value: None if value is None else _text(value),
    tuple[int, ...]: _sizes,
    CaptureOrder: lambda value: parse_order(_text(value)),
    CapturePhases: lambda value: parse_phases(_text(value)),
    PoolSharing: lambda value: parse_sharing(_text(value)),
}
_WANTED: dict[object, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    str | None: "a text",
    tuple[int, ...]: "a list of batch sizes",
    CaptureOrder: "a capture order",
    CapturePhases: "interleaved or two-phase",
    PoolSharing: "shared, per-role or per-graph",
}

_POSITIVE = ("tp", "max_running", "page_size", "max_context", "spec_steps",
             "barrier_timeout_s", "collective_timeout_s")  # fmt: skip


def _check(config: EngineConfig, environ: Mapping[str, str]) -> None:
    for name in _POSITIVE:
        if not getattr(config, name) > 0:
            raise UsageError(f"{name} {getattr(config, name)}: give a value above 0")
    if config.attention_splits < 0:
        raise UsageError(
            f"attention_splits {config.attention_splits}: give 0 (the kernel's) or more"
        )
    if not config.temperature >= 0:
        raise UsageError(f"temperature {config.temperature}: give 0 (greedy) or more")
    if config.cuda_graph_bs[0] < 1:
        raise UsageError(f"cuda_graph_bs {config.cuda_graph_bs[0]}: batch sizes start at 1")
    if config.device not in DEVICES:
        raise unknown_value("device", config.device, list(DEVICES))
    if config.dtype not in DTYPES:
        raise unknown_value("dtype", config.dtype, list(DTYPES))
    if config.load_format not in LOAD_FORMATS:
        raise unknown_value("load_format", config.load_format, list(LOAD_FORMATS))
    if config.speculative and config.draft_model is None:
        raise UsageError("speculative decoding needs 'draft_model': give it, or speculative=False")
    if config.speculative:
        check_spec(config.spec_steps, config.spec_topk, config.spec_draft_tokens)
    world = int(environ.get("WORLD_SIZE", "1"))
    if config.tp != world:
        raise UsageError(f"tp {config.tp} needs {config.tp} ranks, but {world} run: start as many")
    _check_pool(config)


def _check_pool(config: EngineConfig) -> None:
    if config.page_size > MAX_PAGE_SIZE:
        raise UsageError(
            f"page_size {config.page_size} is not supported: give 1 to {MAX_PAGE_SIZE}"
        )
    if config.num_pages - 1 < config.pages_per_row:
        needed = config.pages_per_row * config.page_size
        raise UsageError(
            f"max_total_tokens {config.max_total_tokens} cannot hold one request: give at least "
            f"{needed}, or lower max_context"
        )

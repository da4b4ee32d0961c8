"""Reads Hugging Face Llama checkpoints (`config.json`, `model.safetensors`), one rank's slices.

With the load format `dummy` only `config.json` is read, and weights are drawn.

Every name and shape is checked against the config before anything is allocated, so a hostile
config cannot ask for more memory than its file holds. Files are read with safetensors: no pickle.
"""

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.engine.model.dummy_weights import DummyReader
from harness.engine.model.safetensors_reader import SafetensorsReader
from harness.engine.model.shape import ModelConfig


@dataclass(frozen=True, slots=True)
class Shard:
    """Which part of each parallel weight this rank reads, and as what."""

    rank: int
    size: int
    device: torch.device
    dtype: torch.dtype
    load_format: str = "safetensors"

    def open(self, folder: str) -> SafetensorsReader | DummyReader:
        """The weights of a folder. Raises UsageError where its file cannot be read."""
        reader = DummyReader if self.load_format == "dummy" else SafetensorsReader
        return reader(folder, self.device, self.dtype)


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One decoder layer of one rank; heads and intermediate channels are this rank's.

    `qkv` [(heads + 2 KV heads) * head_dim, hidden], `output` [hidden, heads * head_dim],
    `gate_up` [2 * intermediate, hidden], `down` [hidden, intermediate], norms [hidden].
    """

    input_norm: Tensor
    qkv: Tensor
    output: Tensor
    post_norm: Tensor
    gate_up: Tensor
    down: Tensor


@dataclass(frozen=True, slots=True)
class TargetWeights:
    """The decoder of one rank: `embedding` [vocab, hidden], `lm_head` [vocab / ranks, hidden].

    `lm_head` is padded with zero rows where the ranks do not divide the vocabulary, and whole
    where `splits_vocabulary` says that it is not worth splitting.
    """

    embedding: Tensor
    layers: tuple[LayerWeights, ...]
    norm: Tensor
    lm_head: Tensor


@dataclass(frozen=True, slots=True)
class DraftWeights:
    """The EAGLE head of one rank: `fuse` [hidden, 2 * hidden], replicated, and one layer."""

    fuse: Tensor
    layer: LayerWeights


def count_bytes(weights: object) -> int:
    """Bytes of all tensors of weights, whichever dataclass holds them; a tied one counts twice."""
    if isinstance(weights, Tensor):
        return weights.numel() * weights.itemsize
    if isinstance(weights, tuple):
        return sum(count_bytes(part) for part in weights)
    if dataclasses.is_dataclass(weights):
        return sum(count_bytes(getattr(weights, f.name)) for f in dataclasses.fields(weights))
    return 0


def load_target(folder: str, config: ModelConfig, shard: Shard) -> TargetWeights:
    """Read one rank's part of the decoder. Raises UsageError for a file that does not fit."""
    shape = (config.vocab_size, config.hidden_size)
    head_name = "model.embed_tokens" if config.tie_word_embeddings else "lm_head"
    with shard.open(folder) as reader:
        return TargetWeights(
            embedding=reader.read_whole("model.embed_tokens.weight", shape),
            layers=tuple(
                _load_layer(reader, f"model.layers.{layer}.", config, shard)
                for layer in range(config.num_hidden_layers)
            ),
            norm=reader.read_whole("model.norm.weight", shape[1:]),
            lm_head=_load_head(reader, f"{head_name}.weight", config, shard),
        )


def load_draft(folder: str, config: ModelConfig, shard: Shard) -> DraftWeights:
    """Read one rank's part of the EAGLE head. Raises UsageError for a file that does not fit."""
    hidden = config.hidden_size
    with shard.open(folder) as reader:
        return DraftWeights(
            fuse=reader.read_whole("fc.weight", (hidden, 2 * hidden)),
            layer=_load_layer(reader, "layers.0.", config, shard),
        )


def _load_layer(
    reader: SafetensorsReader | DummyReader, prefix: str, config: ModelConfig, shard: Shard
) -> LayerWeights:
    """Column-parallel weights are cut by output rows, row-parallel ones by input columns."""
    hidden, inner = config.hidden_size, config.intermediate_size
    queries = config.num_attention_heads * config.head_dim
    keys = config.num_key_value_heads * config.head_dim

    def read_rows(name: str, count: int) -> Tensor:
        return reader.part(f"{prefix}{name}.weight", (count, hidden), 0, shard.rank, shard.size)

    def read_columns(name: str, count: int) -> Tensor:
        return reader.part(f"{prefix}{name}.weight", (hidden, count), 1, shard.rank, shard.size)

    def norm(name: str) -> Tensor:
        return reader.read_whole(f"{prefix}{name}.weight", (hidden,))

    return LayerWeights(
        input_norm=norm("input_layernorm"),
        qkv=torch.cat(
            [
                read_rows("self_attn.q_proj", queries),
                read_rows("self_attn.k_proj", keys),
                read_rows("self_attn.v_proj", keys),
            ]
        ),
        output=read_columns("self_attn.o_proj", queries),
        post_norm=norm("post_attention_layernorm"),
        gate_up=torch.cat([read_rows("mlp.gate_proj", inner), read_rows("mlp.up_proj", inner)]),
        down=read_columns("mlp.down_proj", inner),
    )


def _load_head(
    reader: SafetensorsReader | DummyReader, name: str, config: ModelConfig, shard: Shard
) -> Tensor:
    shape = (config.vocab_size, config.hidden_size)
    if not config.splits_vocabulary:
        return reader.read_whole(name, shape)
    part = reader.part(name, shape, 0, shard.rank, shard.size)
    padding = -(-shape[0] // shard.size) - part.shape[0]
    return torch.nn.functional.pad(part, (0, 0, 0, padding))

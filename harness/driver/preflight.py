"""Checks of a suite's model before any process starts: a broken checkpoint costs no attempt."""

import json
import struct
from pathlib import Path
from typing import Any

from harness.core.errors import UsageError

_HEADER_LIMIT = 100 << 20


def check_model(
    folder: str, suite: str, tps: list[int], has_weights: bool = True, root: Path = Path()
) -> None:
    """Raises UsageError where the checkpoint is missing, truncated or not divisible by a tp.

    Without weights (load format `dummy`) the folder needs a `config.json` alone.

    A relative folder is looked for in `root`, which the suite's path is relative to, then beside
    the suite's folder, as the suite does.
    """
    path = locate_model(folder, suite, root)
    config = _read_config(path / "config.json")
    for shard in _shards(path) if has_weights else []:
        _check_safetensors(shard)
    for tp in tps:
        _check_divides(config, tp, path)


def read_head_dim(folder: str, suite: str, root: Path) -> int | None:
    """The head dim that a checkpoint states or implies; None where it says too little.

    Raises UsageError where there is no such checkpoint.
    """
    config = _read_config(locate_model(folder, suite, root) / "config.json")
    stated, hidden, heads = (
        config.get(key) for key in ("head_dim", "hidden_size", "num_attention_heads")
    )
    if isinstance(stated, int):
        return stated
    return hidden // heads if isinstance(hidden, int) and isinstance(heads, int) and heads else None


def locate_model(folder: str, suite: str, root: Path = Path()) -> Path:
    """A model folder from `root`, else from the suite's parents. Raises UsageError."""
    here = root / folder
    near = [parent / folder for parent in (root / suite).absolute().parents]
    for candidate in (here, *near):
        if candidate.is_dir():
            return candidate
    raise UsageError(f"model folder {folder!r} of {suite} does not exist")


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"checkpoint {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"checkpoint {path} is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise UsageError(f"checkpoint {path} holds no JSON object")
    return config


def _shards(path: Path) -> list[Path]:
    shards = sorted(path.glob("*.safetensors"))
    if not shards:
        raise UsageError(f"checkpoint {path} holds no .safetensors file")
    return shards


def _check_safetensors(path: Path) -> None:
    """Compare the header's offsets with the file's size, without reading a weight."""
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        if not 2 <= length <= min(size - 8, _HEADER_LIMIT):
            raise UsageError(f"checkpoint {path} is corrupt: its header length is {length} bytes")
        header = _header(file.read(length), path)
    ends = [t["data_offsets"][1] for name, t in header.items() if name != "__metadata__"]
    expected = 8 + length + max(ends, default=0)
    if expected != size:
        raise UsageError(f"checkpoint {path} is truncated: {size} bytes of {expected}")


def _header(data: bytes, path: Path) -> dict[str, Any]:
    try:
        header = json.loads(data)
        for name, tensor in header.items():
            if name != "__metadata__":
                _begin, _end = (int(offset) for offset in tensor["data_offsets"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise UsageError(f"checkpoint {path} is corrupt: its header is not readable") from None
    return dict(header)


def _check_divides(config: dict[str, Any], tp: int, path: Path) -> None:
    for key in ("num_attention_heads", "num_key_value_heads"):
        heads = config.get(key)
        if isinstance(heads, int) and heads % tp:
            raise UsageError(f"--tp {tp} does not divide {key} = {heads} of {path}")

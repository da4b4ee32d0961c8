"""Reads named tensors of one `model.safetensors`, checked against the shapes a config promises."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from harness.core.errors import UsageError

_FLOATS = ("F32", "F16", "BF16", "F64")


class SafetensorsReader:
    """A checkpoint file, open for reading. Every method raises UsageError where it does not fit."""

    def __init__(self, folder: str, device: torch.device, dtype: torch.dtype) -> None:
        self._folder = folder
        self._device = device
        self._dtype = dtype
        path = Path(folder) / "model.safetensors"
        try:
            opened: Any = safe_open(path, framework="pt")
            self._file = opened
            self._names = set(self._file.keys())
        except OSError as error:
            raise UsageError(
                f"checkpoint {folder!r}: no readable model.safetensors ({error})"
            ) from None
        except SafetensorError as error:
            raise UsageError(
                f"checkpoint {folder!r}: model.safetensors is corrupt or truncated ({error}); "
                f"copy it again"
            ) from None

    def __enter__(self) -> Self:
        self._file.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.__exit__(kind, error, trace)

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """The tensor exists, is a float and has exactly this shape."""
        if name not in self._names:
            raise UsageError(f"checkpoint {self._folder!r} has no tensor {name!r}: save it whole")
        stored = self._file.get_slice(name)
        if tuple(stored.get_shape()) != shape:
            raise UsageError(
                f"checkpoint {self._folder!r}: {name} has shape {list(stored.get_shape())}, "
                f"config.json promises {list(shape)}: take both from one model"
            )
        if stored.get_dtype() not in _FLOATS:
            raise UsageError(
                f"checkpoint {self._folder!r}: {name} is {stored.get_dtype()}, "
                f"but one of {', '.join(_FLOATS)} is needed"
            )

    def read_whole(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """The whole tensor, of the reader's dtype and device."""
        return self.part(name, shape, 0, 0, 1)

    def part(self, name: str, shape: tuple[int, ...], dim: int, index: int, count: int) -> Tensor:
        """The `index`-th of `count` equal parts along `dim`; a short last part stays short."""
        self.check(name, shape)
        step = -(-shape[dim] // count)
        rows = slice(min(index * step, shape[dim]), min((index + 1) * step, shape[dim]))
        stored = self._file.get_slice(name)
        try:
            tensor: Tensor = stored[rows] if dim == 0 else stored[:, rows]
        except SafetensorError as error:
            raise UsageError(
                f"checkpoint {self._folder!r}: {name} cannot be read ({error}); copy it again"
            ) from None
        return tensor.to(device=self._device, dtype=self._dtype).contiguous()

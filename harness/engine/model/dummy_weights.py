"""Seeded random weights in place of a checkpoint's file: any config, at full size, in seconds."""

import hashlib
from types import TracebackType
from typing import Self

import torch
from torch import Tensor


class DummyReader:
    """Answers as `SafetensorsReader`, whatever is asked, without a file.

    A tensor follows from its name alone, so that any number of ranks cut the same model. Norms are
    ones; the rest is normal, scaled by the inputs' number, so that activations stay of order one.
    """

    def __init__(self, _folder: str, device: torch.device, dtype: torch.dtype) -> None:
        self._device = device
        self._dtype = dtype

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing is open."""

    def read_whole(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """The whole tensor, of the reader's dtype and device."""
        if len(shape) == 1:
            return torch.ones(shape, device=self._device, dtype=self._dtype)
        generator = torch.Generator(self._device).manual_seed(_seed(name))
        drawn = torch.empty(shape, device=self._device, dtype=self._dtype)
        return drawn.normal_(0.0, shape[-1] ** -0.5, generator=generator)

    def part(self, name: str, shape: tuple[int, ...], dim: int, index: int, count: int) -> Tensor:
        """The `index`-th of `count` equal parts along `dim`; a short last part stays short."""
        whole = self.read_whole(name, shape)
        if count == 1:
            return whole
        step = -(-shape[dim] // count)
        start = min(index * step, shape[dim])
        return whole.narrow(dim, start, min(step, shape[dim] - start)).clone()


def _seed(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:7])

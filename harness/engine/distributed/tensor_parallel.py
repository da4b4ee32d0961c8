"""One rank's place among the ranks that share a model, and the collectives between them."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class Collectives(Protocol):
    """How the ranks of one engine exchange tensors. Every rank calls the same, in one order."""

    name: str
    """`shared-memory`, `gloo` or `nccl`: evidence for the capture trace."""

    def all_reduce(self, tensor: Tensor) -> None:
        """Sum a tensor over the ranks, in place; every rank gets the same bits."""

    def all_gather(self, shares: Tensor, tensor: Tensor) -> None:
        """Stack the ranks' dense tensors in `shares`, in rank order along its first dimension."""

    def leave(self) -> None:
        """Leave the group in good order; the process's next engine may go on with it."""

    def close(self) -> None:
        """Destroy the group. Graphs that hold its collectives must be freed before."""


@dataclass(frozen=True, slots=True)
class TensorParallel:
    """One rank's place in the group. Alone, without `collectives`, every one is the identity."""

    rank: int = 0
    size: int = 1
    collectives: Collectives | None = None

    @property
    def name(self) -> str:
        """How tensors are exchanged; `none` if there is one rank."""
        return self.collectives.name if self.collectives else "none"

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """Sum over the ranks, in place; every rank gets the same bits."""
        if self.collectives is not None:
            self.collectives.all_reduce(tensor)
        return tensor

    def all_gather(self, tensor: Tensor) -> Tensor:
        """Join the ranks' [..., n] tensors in rank order to [..., size * n]."""
        if self.collectives is None:
            return tensor
        tensor = tensor.contiguous()
        # Ranks are stacked along the first dimension: Gloo cannot add one of their own.
        shares = tensor.new_empty((self.size * tensor.shape[0], *tensor.shape[1:]))
        self.collectives.all_gather(shares, tensor)
        return shares.view(self.size, *tensor.shape).movedim(0, -2).flatten(-2)

    def leave(self) -> None:
        """Leave the group in good order: no rank is in a collective, and no graph holds one."""
        if self.collectives is not None:
            self.collectives.leave()

    def close(self) -> None:
        """Destroy the group. Graphs that hold its collectives must be freed before."""
        if self.collectives is not None:
            self.collectives.close()

"""The capture order of a cell: asked for, and seen. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CaptureOrder:
    """The capture order that was asked for, and the one that was seen."""

    requested: str
    observed: str

    @property
    def is_other(self) -> bool:
        """Whether an order was seen that is not the one asked for."""
        silent = self.observed in ("none", "single", "unknown")
        # Nobody asked a suite without such an option for an order; nobody knows a shuffled one.
        silent = silent or self.requested in ("", "gate", "shuffled")
        return not silent and self.requested != self.observed

    @property
    def is_as_asked(self) -> bool:
        """Whether graphs were captured in the order asked for."""
        return self.observed == self.requested != "none"

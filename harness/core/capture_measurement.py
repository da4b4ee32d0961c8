"""What capturing graphs cost and showed in one attempt: one value from the fold to the report."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class CaptureMeasurement:
    """What graph capture showed on rank 0 of one attempt, all of its engines together.

    A suite's classes build engines one after another: bytes are the largest engine's, `seconds`
    are those of all engines, names are the last one's.
    """

    graphs: str = ""
    """`cuda` or `recorded`; empty if nothing was captured."""
    requested: str = ""
    """The capture order that the cell asked for."""
    observed: str = "none"
    """The capture order that `trace` shows."""
    pool_bytes: int = 0
    """What the graphs' memory pools reserve."""
    peak_bytes: int = 0
    """The most bytes in use at once."""
    seconds: float = 0.0
    role_backends: dict[str, str] = field(default_factory=dict)
    """Attention backend of each captured role."""
    trace: tuple[dict[str, Any], ...] = ()
    """The wire's `capture` events in order, each with the test that was running."""

    @property
    def kernels(self) -> dict[str, str]:
        """The library whose attention kernel each role's graphs hold, where the trace says it."""
        return {one["role"]: one["kernel"] for one in self.trace if "kernel" in one}

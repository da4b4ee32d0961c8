"""What one attempt may use, and how it is said that it used more. Pure."""

from dataclasses import dataclass

from harness.core.kinds import Kind


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of all processes of one attempt together. None: no limit."""

    memory_bytes: int | None = None
    """Proportional share of resident memory (PSS); of the host, not of a GPU."""
    processes: int | None = None

    def __bool__(self) -> bool:
        return self != Limits()


@dataclass(frozen=True, slots=True)
class LimitHit:
    """A limit that an attempt came to, for which it was killed."""

    kind: Kind
    message: str

"""What the user asked for, checked: `harness run`'s options as one frozen value."""

from dataclasses import dataclass

from harness.core.cell import Axis
from harness.core.errors import UsageError
from harness.core.plan import check_repeats

DEFAULT_SUITE = "suites/test_eagle_infer_b.py"
DEFAULT_REPEATS = 50
DEFAULT_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of one run. Axes are as given; the plan adds the defaults that need the machine."""

    suites: tuple[str, ...] = ()
    repeats: int = DEFAULT_REPEATS
    axes: tuple[Axis, ...] = ()
    device: str = "auto"
    slots: int | None = None
    timeout_s: float = DEFAULT_TIMEOUT_S
    seed: int | None = None
    fixed_seed: bool = False
    isolation: str | None = None
    in_process_reruns: int = 0
    replace_infra: int = 0
    address: str | None = None
    keyword: str | None = None

    def __post_init__(self) -> None:
        check_repeats(self.repeats)
        if self.slots is not None and self.slots < 1:
            raise UsageError(f"--slots {self.slots}: give at least 1")
        if not 0 < self.timeout_s <= 86_400:
            raise UsageError(f"--timeout {self.timeout_s:g}: give seconds from above 0 to 86400")
        if self.isolation not in (None, "spawn", "fork"):
            raise UsageError(f"--isolation {self.isolation!r}: choose from spawn, fork")
        if self.in_process_reruns < 0 or self.replace_infra < 0:
            raise UsageError("--in-process-reruns and --replace-infra take 0 or more")
        if self.seed is not None and not 0 <= self.seed < 1 << 31:
            raise UsageError(f"--seed {self.seed}: give a number from 0 to 2147483647")

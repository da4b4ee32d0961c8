"""What the user asked for, checked: `harness run`'s options as one frozen value."""

from dataclasses import dataclass

from harness.core.cell import Axis
from harness.core.errors import UsageError
from harness.core.plan import EXPECTED_RATES, check_repeats
from harness.stats.power import check_pair

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
    until: str | None = None
    max_flake_rate: float | None = None
    base_rate: float = EXPECTED_RATES[0]
    target_rate: float = EXPECTED_RATES[1]
    revs: tuple[str, ...] = ()
    rev_pythons: tuple[str, ...] = ()

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
        self._check_question()
        self._check_revisions()

    def _check_question(self) -> None:
        if self.until not in (None, "decided"):
            raise UsageError(f"--until {self.until!r}: the one value is decided")
        if self.max_flake_rate is not None and not 0 < self.max_flake_rate < 1:
            raise UsageError(
                f"--max-flake-rate {self.max_flake_rate:g}: give a rate above 0 and below 1; "
                "no number of attempts proves a rate of 0"
            )
        check_pair(self.base_rate, self.target_rate)
        if self.fixed_seed and (self.until or self.max_flake_rate is not None):
            raise UsageError(
                "--fixed-seed: repeats of one seed are one observation, so neither --until decided "
                "nor --max-flake-rate can be answered; drop one of them"
            )
        if self.until and self.replace_infra:
            raise UsageError(
                "--replace-infra: a run --until decided counts each infrastructure attempt both "
                "ways, and a replacement would come out of order; drop one of them"
            )

    def _check_revisions(self) -> None:
        if "" in self.revs:
            raise UsageError("--rev: an empty revision; remove the stray comma")
        if self.revs and self.address is not None:
            raise UsageError(
                f"--rev with --address {self.address}: worktrees stand on this machine alone; "
                "leave --address out"
            )
        if self.rev_pythons and len(self.rev_pythons) != len(self.revs):
            raise UsageError(
                f"--rev-python names {len(self.rev_pythons)} interpreters for {len(self.revs)} "
                "revisions: give one per revision of --rev, in the same order"
            )
        if self.rev_pythons and self.isolation == "fork":
            raise UsageError(
                "--rev-python with --isolation fork: what ranks are forked from would have run "
                "the interpreter under test; leave --isolation out"
            )

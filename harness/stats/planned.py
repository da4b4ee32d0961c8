"""What a run set out to decide, and what it has to decide it with. Pure values."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.core.decision_rule import CURRENT_RULE, DecisionRule
from harness.core.plan import EXPECTED_RATES
from harness.stats.intervals import StatsError, check_rate
from harness.stats.sequential import Outcome, RatePair


@dataclass(frozen=True, slots=True)
class CellOutcomes:
    """A cell's attempts in lease order: failed, passed, or None for infrastructure.

    In a run that may stop early, the completed prefix; `remaining` is what its plan still holds.
    """

    outcomes: Sequence[Outcome]
    remaining: int = 0

    @property
    def failed(self) -> int:
        """Valid attempts that failed."""
        return sum(1 for outcome in self.outcomes if outcome)

    @property
    def infra(self) -> int:
        """Attempts lost to infrastructure."""
        return sum(1 for outcome in self.outcomes if outcome is None)

    @property
    def valid(self) -> int:
        """Attempts that count."""
        return len(self.outcomes) - self.infra


@dataclass(frozen=True, slots=True)
class PlannedContrast:
    """A comparison fixed in the plan: keys of two cells, and how to name them in a sentence.

    `rest`: the cells whose attempts are pooled; the reference is then the first of them.
    """

    arm: str
    reference: str
    arm_name: str
    reference_name: str
    where: str = ""
    rest: tuple[str, ...] = ()

    @property
    def references(self) -> tuple[str, ...]:
        """The cells that the arm is compared with."""
        return self.rest or (self.reference,)

    @property
    def group(self) -> tuple[str, ...]:
        """The cells of the comparison; the same for each cell of a group with its rest."""
        return tuple(sorted((self.arm, *self.rest))) if self.rest else (self.arm, self.reference)


@dataclass(frozen=True, slots=True)
class Question:
    """What a run set out to decide, fixed before its first attempt.

    `until_decided`: looked at all along, hence judged by the anytime-valid methods, whether or
    not it stopped early. `expected_rates`: the pair of rates it was planned to tell apart.
    `rule`: the stored method; its threshold holds within `cap` attempts per cell.
    """

    contrasts: tuple[PlannedContrast, ...] = ()
    gate: float | None = None
    until_decided: bool = False
    expected_rates: RatePair = EXPECTED_RATES
    rule: DecisionRule = CURRENT_RULE
    cap: int = 0

    @property
    def has_rest(self) -> bool:
        """Whether cells are compared with a pooled rest."""
        return any(one.rest for one in self.contrasts)

    def __post_init__(self) -> None:
        if self.gate is not None:
            check_rate(self.gate, "a gate")
        if self.until_decided and not self.contrasts and self.gate is None:
            raise StatsError(
                "nothing to decide: give --max-flake-rate, or an axis with two values to compare"
            )


def list_rest_groups(question: Question) -> list[tuple[str, ...]]:
    """Return the cells of each comparison with a pooled rest, one tuple per group."""
    return list(dict.fromkeys(one.group for one in question.contrasts if one.rest))

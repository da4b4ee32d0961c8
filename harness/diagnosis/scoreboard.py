"""What a calibration found beside what is true."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.diagnosis.truth import Truth

SCHEMA = "harness.calibration/1"


@dataclass(frozen=True, slots=True)
class Score:
    """One fault: what was found. None: not asked, as `--quick` asks for neither."""

    truth: Truth
    kinds: dict[str, int]
    attempts: int
    first_failure: int
    """Attempts until the first failure, that one included; 0 if none failed."""
    factors: tuple[str, ...] | None = None
    mechanism: str | None = None
    fitting: tuple[str, ...] = ()

    @property
    def is_detected(self) -> bool:
        """Whether any attempt failed."""
        return bool(self.first_failure)

    @property
    def is_kind_right(self) -> bool:
        """Whether most failures are of the kind that is true."""
        return bool(self.kinds) and max(self.kinds, key=self.kinds.__getitem__) == self.truth.kind

    @property
    def is_factor_right(self) -> bool | None:
        """Whether failures were found to follow what they do follow."""
        if self.factors is None:
            return None
        wanted = self.truth.factor
        return wanted in self.factors if wanted else not self.factors

    @property
    def is_mechanism_right(self) -> bool | None:
        """Whether the class that was named is the true one."""
        return None if self.mechanism is None else self.mechanism == self.truth.mechanism


@dataclass(frozen=True, slots=True)
class Scoreboard:
    """All faults, and the clean control's failures of so many attempts."""

    scores: tuple[Score, ...]
    false_alarms: int
    clean_attempts: int

    @property
    def is_good(self) -> bool:
        """Whether every fault was detected with its kind and the control gave no false alarm."""
        found = all(one.is_detected and one.is_kind_right for one in self.scores)
        return found and not self.false_alarms and bool(self.clean_attempts)

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "schema": SCHEMA,
            "faults": [_describe(one) for one in self.scores],
            "clean": {"attempts": self.clean_attempts, "false_alarms": self.false_alarms},
            "good": self.is_good,
        }


def _describe(score: Score) -> dict[str, Any]:
    told = asdict(score)
    truth = told.pop("truth")
    return {
        "fault": truth.pop("fault"),
        "truth": truth,
        "found": told,
        "detected": score.is_detected,
        "kind_right": score.is_kind_right,
        "factor_right": score.is_factor_right,
        "mechanism_right": score.is_mechanism_right,
    }


def count_right(answers: Sequence[bool | None]) -> str:
    """Return `n/m` of the answers that were asked for; `-` if none was."""
    asked = [one for one in answers if one is not None]
    return f"{sum(asked)}/{len(asked)}" if asked else "-"

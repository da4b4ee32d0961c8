"""What a calibration found beside what is true."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
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
    amplified: str = ""
    """The amplifier without which it was not seen often enough."""
    seconds: float = 0.0
    runs: tuple[str, ...] = ()
    error: str = ""
    """Why it could not be tried to the end."""
    not_shown: str = ""
    """Why it cannot be shown on this machine at all."""

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
        """Whether failures were found to follow what they do follow, and no other axis.

        What varies with the axis by the way attempts are made (its zygotes, its gang of devices)
        may be named beside it: one run cannot tell them apart.
        """
        if self.factors is None:
            return None
        wanted = self.truth.factor
        if not wanted:
            return not self.factors
        return wanted in self.factors and not self.truth.list_unrelated() & set(self.factors)

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
    clean_wanted: int
    """Clean attempts that were asked for; 0 if only faults were."""
    machine: Mapping[str, Any] = field(default_factory=dict)
    """Where and when: what a reader needs who compares two scoreboards."""

    @property
    def shown(self) -> tuple[Score, ...]:
        """The faults that this machine can show."""
        return tuple(one for one in self.scores if not one.not_shown)

    @property
    def is_good(self) -> bool:
        """Whether every fault was detected with its kind and the control gave no false alarm."""
        found = all(one.is_detected and one.is_kind_right for one in self.shown)
        is_clean = not self.false_alarms and bool(self.clean_attempts or not self.clean_wanted)
        return found and is_clean and bool(self.shown or self.clean_attempts)

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "schema": SCHEMA,
            **self.machine,
            "faults": [_describe(one) for one in self.scores],
            "clean": {"attempts": self.clean_attempts, "false_alarms": self.false_alarms},
            "totals": {name: count_right(answers) for name, answers in list_columns(self).items()},
            "good": self.is_good,
        }


def list_columns(board: Scoreboard) -> dict[str, list[bool | None]]:
    """Return the answers of each column, of the faults that can be shown."""
    return {
        "detected": [one.is_detected for one in board.shown],
        "kind right": [one.is_kind_right for one in board.shown],
        "factor right": [one.is_factor_right for one in board.shown],
        "class right": [one.is_mechanism_right for one in board.shown],
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

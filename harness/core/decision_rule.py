"""How a run is judged, fixed in its plan before the first attempt and stored with it. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

#: The rules of today. A stored run keeps the version that it was planned with.
CURRENT_VERSION = 4


class Alternative(StrEnum):
    """Which difference a comparison looks for: does the value fail more, or less, often?"""

    TWO_SIDED = "two-sided"
    MORE = "more"
    LESS = "less"


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """The method of a run.

    version: 1 is harness 0.1.0: e >= m/0.05, rate gates by confidence sequences on valid attempts.
    2 has calibrated thresholds and worst-case gates. 3 judges cells whose failures come in clusters
    by blocks, and compares three and more values of an axis each with the pooled rest. 4 decides
    between two cells only if the evidence also stands with each burst of failures counted once.
    threshold: the e-value that decides one comparison within the cap, calibrated exactly; None if
    any look may be the last, where e >= m/0.05 decides. futility: a comparison is given up once
    its chance to be decided, if the expected rates are the truth, falls below this.
    """

    version: int = CURRENT_VERSION
    threshold: float | None = None
    futility: float = 0.0
    alternative: Alternative = Alternative.TWO_SIDED


#: What new plans are judged by if they need no threshold.
CURRENT_RULE = DecisionRule()
#: What plans without a rule were judged by.
FIRST_RULE = DecisionRule(version=1)


def rule_to_dict(rule: DecisionRule) -> dict[str, Any]:
    """Return the rule as stored: JSON values only."""
    return asdict(rule)


def rule_from_dict(stored: Mapping[str, Any] | None) -> DecisionRule:
    """Return a stored plan's rule; plans of harness 0.1.0 hold none."""
    if stored is None:
        return FIRST_RULE
    values = dict(stored)
    return DecisionRule(**{**values, "alternative": Alternative(values["alternative"])})

"""What was recorded of every attempt, as factors that failures may follow. Pure."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations

from harness.stats.replay import Origin

#: An ordered factor (position in the run) is cut into this many equal parts.
PARTS = 10
#: Pairs of axes that are tested jointly at most, so that many axes do not use up the error rate.
MOST_PAIRS = 15
#: Axes and their pairs count so much in Holm's correction: planned comparisons judge axes too.
AXIS_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Factor:
    """One recorded value per attempt.

    `axis`: set by the plan. `ordered`: numbers, a trend. `origin`: how the scheduler came to it.
    `weight`: its share of the error; factors that answer one question (where? after what?) share 1.
    """

    name: str
    values: Sequence[Hashable]
    axis: bool = False
    ordered: bool = False
    origin: Origin = Origin.PLAN
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Group:
    """Factors that split the attempts alike, and are therefore one; or two axes jointly.

    `levels` are numbers of what `values` shows. `parts`: the two axes of a joint factor.
    """

    names: tuple[str, ...]
    levels: tuple[int, ...]
    values: tuple[Hashable, ...]
    axis: bool
    ordered: bool
    origin: Origin = Origin.PLAN
    weight: float = 1.0
    parts: "tuple[Group, ...]" = ()

    @property
    def label(self) -> str:
        """What a sentence calls it."""
        return " and ".join(self.names) + (" together" if self.parts else "")

    def determines(self, coarser: "Group") -> bool:
        """Whether each of its levels saw one level of the other only."""
        return len(set(zip(self.levels, coarser.levels, strict=True))) == len(set(self.levels))


def collect_groups(factors: Sequence[Factor]) -> list[Group]:
    """Return the factors that vary and repeat, those that split attempts alike as one.

    After them, each pair of axes as one joint factor.
    """
    merged: dict[tuple[int, ...], list[Factor]] = {}
    for factor in factors:
        partition = number_values(_bin(factor))
        if 1 < len(set(partition)) < len(partition):
            merged.setdefault(partition, []).append(factor)
    single = [_merge(partition, alike) for partition, alike in merged.items()]
    axes = [group for group in single if group.axis]
    pairs = [_pair(a, b) for a, b in combinations(axes, 2) if not _is_nested(a, b)]
    return single + pairs[:MOST_PAIRS]


def list_weights(groups: Sequence[Group]) -> list[float]:
    """Return what each group counts in Holm's correction.

    Axes and pairs of axes share AXIS_WEIGHT for each axis; other factors have weights of their own.
    """
    axes = sum(group.axis and not group.parts for group in groups)
    all_axes = sum(group.axis for group in groups)
    return [AXIS_WEIGHT * axes / all_axes if group.axis else group.weight for group in groups]


def make_strata(
    group: Group, groups: Sequence[Group], given: Group | None = None
) -> list[Hashable]:
    """Return each attempt's stratum: the other axes, and one more factor if it is given."""
    own = (group, *group.parts)
    within = [g.levels for g in groups if g.axis and not g.parts and g not in own]
    return list(zip(*within, given.levels if given else [0] * len(group.levels), strict=True))


def number_values(values: Sequence[Hashable]) -> tuple[int, ...]:
    """Return the number of each value, in the order of their first appearance."""
    number = {value: i for i, value in enumerate(dict.fromkeys(values))}
    return tuple(number[value] for value in values)


def _merge(partition: tuple[int, ...], alike: list[Factor]) -> Group:
    first, ordered = alike[0], [factor for factor in alike if factor.ordered]
    scheduled = [factor.origin for factor in alike if factor.origin is not Origin.PLAN]
    return Group(
        tuple(factor.name for factor in alike),
        tuple(_bin(ordered[0])) if ordered else partition,
        tuple(_bin(first) if first.ordered else first.values),
        any(factor.axis for factor in alike),
        bool(ordered),
        scheduled[0] if scheduled else Origin.PLAN,
        max(factor.weight for factor in alike),
    )


def _pair(one: Group, other: Group) -> Group:
    values = tuple(zip(one.values, other.values, strict=True))
    names, levels = (*one.names, *other.names), number_values(values)
    return Group(names, levels, values, axis=True, ordered=False, parts=(one, other))


def _is_nested(one: Group, other: Group) -> bool:
    return one.determines(other) or other.determines(one)


def _bin(factor: Factor) -> Sequence[int]:
    """Level numbers: parts of equal size if the factor is ordered, else as first seen."""
    if not factor.ordered:
        return number_values(factor.values)
    # An ordered factor's values compare; their type says only that they hash.
    rank = sorted(range(len(factor.values)), key=lambda i: factor.values[i])  # type: ignore[arg-type,return-value]
    parts = [0] * len(rank)
    for position, index in enumerate(rank):
        parts[index] = position * PARTS // len(rank)
    return parts

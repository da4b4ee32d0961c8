"""Which recorded factor do failures follow? Pure.

Each factor is tested within the cells of the design, so that an axis's effect is not taken for a
device's; Holm's correction is over all factors that could be tested.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import Enum

from harness.stats.contrasts import ALPHA, adjust_holm
from harness.stats.intervals import CountError
from harness.stats.permutation import compute_association_p
from harness.stats.power import find_detectable_difference
from harness.stats.replay import LeaseLog, compute_replay_p

#: The factors whose levels the scheduler gives out as devices become free.
DEVICE, ZYGOTE = "device", "zygote"

#: An ordered factor (position in the run) is cut into this many equal parts.
PARTS = 10


@dataclass(frozen=True, slots=True)
class Factor:
    """One recorded value per attempt. `axis`: set by the plan. `ordered`: numbers, a trend."""

    name: str
    values: Sequence[Hashable]
    axis: bool = False
    ordered: bool = False


class Follows(Enum):
    """What the failures follow."""

    FACTOR = "follows"
    NOTHING = "follows nothing recorded"
    CONFOUNDED = "confounded"
    CANNOT_SAY = "cannot say"


@dataclass(frozen=True, slots=True)
class TestedFactor:
    """One factor, or several that vary together and are therefore one."""

    names: tuple[str, ...]
    p: float | None
    p_adjusted: float | None


@dataclass(frozen=True, slots=True)
class Attribution:
    """The verdict, its sentence, the factors it names, and every test behind it."""

    verdict: Follows
    sentence: str
    named: tuple[str, ...]
    tested: tuple[TestedFactor, ...]


@dataclass(frozen=True, slots=True)
class _Group:
    names: tuple[str, ...]
    levels: tuple[int, ...]
    values: tuple[Hashable, ...]
    axis: bool
    ordered: bool

    @property
    def label(self) -> str:
        return " and ".join(self.names)


def attribute_failures(
    failed: Sequence[bool], factors: Sequence[Factor], log: LeaseLog | None = None
) -> Attribution:
    """Name the factor that failures follow, over the valid attempts of a run.

    Factors that split the attempts alike are one group and are always called confounded. Each
    group is tested by `compute_association_p` within cells (an axis within the other axes), Holm
    over groups. Device and zygote, whose levels depend on how long attempts take, are tested by
    `compute_replay_p` if the lease `log` is given. Of several that follow, one that adds nothing
    given another is dropped. Assumes attempts of one cell are exchangeable but for the factors, and
    devices given out at random.
    """
    if any(len(factor.values) != len(failed) for factor in factors):
        raise CountError("a factor has a value for each attempt, no more and no fewer")
    groups = _collect_groups(factors)
    if not groups:
        return Attribution(Follows.CANNOT_SAY, "cannot say: no recorded factor varies", (), ())
    if sum(failed) in (0, len(failed)):
        every = "every" if failed and failed[0] else "no"
        text = f"cannot say: {every} attempt failed, so failures follow nothing in particular"
        return Attribution(Follows.CANNOT_SAY, text, (), ())
    ps = [_test_group(failed, g, groups, log) for g in groups]
    tested = _test(groups, ps)
    found = [g for g, t in zip(groups, tested, strict=True) if (t.p_adjusted or 1.0) <= ALPHA]
    if not found:
        return _say_nothing_follows(failed, groups, tested)
    return _name_factors(failed, _select_unexplained(failed, found, groups), groups, tested)


def _test_group(
    failed: Sequence[bool], group: _Group, groups: Sequence[_Group], log: LeaseLog | None
) -> float | None:
    """Return the p-value that failures do not follow the group; None if it cannot be tested."""
    p = compute_association_p(failed, group.levels, _design(group, groups), group.ordered)
    by_zygote = ZYGOTE in group.names
    if p is None or log is None or not (by_zygote or DEVICE in group.names):
        return p
    # The replay guards against naming falsely; what would not be named needs none.
    return p if p > ALPHA else max(p, compute_replay_p(failed, group.levels, log, by_zygote))


def _collect_groups(factors: Sequence[Factor]) -> list[_Group]:
    """Factors that vary and repeat, those with equal partitions merged."""
    merged: dict[tuple[int, ...], list[Factor]] = {}
    for factor in factors:
        partition = _partition(_bin(factor))
        if 1 < len(set(partition)) < len(partition):
            merged.setdefault(partition, []).append(factor)
    return [_group(partition, alike) for partition, alike in merged.items()]


def _group(partition: tuple[int, ...], alike: list[Factor]) -> _Group:
    first, ordered = alike[0], [factor for factor in alike if factor.ordered]
    return _Group(
        tuple(factor.name for factor in alike),
        tuple(_bin(ordered[0])) if ordered else partition,
        tuple(_bin(first) if first.ordered else first.values),
        any(factor.axis for factor in alike),
        bool(ordered),
    )


def _bin(factor: Factor) -> Sequence[int]:
    """Level numbers: parts of equal size where the factor is ordered, else as first seen."""
    if not factor.ordered:
        return _partition(factor.values)
    # An ordered factor's values compare; their type says only that they hash.
    rank = sorted(range(len(factor.values)), key=lambda i: factor.values[i])  # type: ignore[arg-type,return-value]
    parts = [0] * len(rank)
    for position, index in enumerate(rank):
        parts[index] = position * PARTS // len(rank)
    return parts


def _partition(values: Sequence[Hashable]) -> tuple[int, ...]:
    number = {value: i for i, value in enumerate(dict.fromkeys(values))}
    return tuple(number[value] for value in values)


def _design(group: _Group, groups: Sequence[_Group], given: _Group | None = None) -> list[Hashable]:
    """The stratum of each attempt: the other axes, and one more factor where it is given."""
    within = [g.levels for g in groups if g.axis and g is not group]
    return list(zip(*within, given.levels if given else [0] * len(group.levels), strict=True))


def _test(groups: Sequence[_Group], ps: Sequence[float | None]) -> tuple[TestedFactor, ...]:
    adjusted = iter(adjust_holm([p for p in ps if p is not None]))
    return tuple(
        TestedFactor(g.names, p, None if p is None else next(adjusted))
        for g, p in zip(groups, ps, strict=True)
    )


def _select_unexplained(
    failed: Sequence[bool], found: Sequence[_Group], groups: Sequence[_Group]
) -> list[_Group]:
    """Of the groups found, those that another does not explain away."""

    def adds(group: _Group, given: _Group) -> bool:
        p = compute_association_p(
            failed, group.levels, _design(group, groups, given), group.ordered
        )
        return p is not None and p <= ALPHA

    def is_explained(group: _Group, other: _Group) -> bool:
        if adds(group, other):
            return False
        if adds(other, group):
            return True
        return _determines(group, other) and (other.axis == group.axis)

    return [g for g in found if not any(is_explained(g, o) for o in found if o is not g)] or [
        *found
    ]


def _determines(finer: _Group, coarser: _Group) -> bool:
    """Each level of `finer` saw one level of `coarser` only."""
    return len(set(zip(finer.levels, coarser.levels, strict=True))) == len(set(finer.levels))


def _name_factors(
    failed: Sequence[bool],
    kept: Sequence[_Group],
    groups: Sequence[_Group],
    tested: tuple[TestedFactor, ...],
) -> Attribution:
    names = tuple(name for group in kept for name in group.names)
    together = _join(failed, kept, groups)
    if together:
        text = (
            f"confounded: failures follow {' and '.join(together)}, which vary together; "
            "this run cannot tell them apart"
        )
        return Attribution(Follows.CONFOUNDED, text, together, tested)
    p_of = {t.names: t.p_adjusted for t in tested if t.p_adjusted is not None}
    parts = [f"{g.label}: {_levels(failed, g)}, p = {p_of[g.names]:.2g}" for g in kept]
    text = f"failures follow {'; and '.join(parts)} (Holm over {len(p_of)} factors)"
    return Attribution(Follows.FACTOR, text + _alike(groups), names, tested)


def _join(
    failed: Sequence[bool], kept: Sequence[_Group], groups: Sequence[_Group]
) -> tuple[str, ...]:
    """Names that cannot be told apart: one group of several, an axis and a factor of which each
    level saw one value of it, or a pair where neither adds to the other."""
    for group in kept:
        if len(group.names) > 1:
            return group.names
        for finer in groups:
            if group.axis and not finer.axis and _determines(finer, group):
                return (*group.names, *finer.names)
    for i, one in enumerate(kept):
        for other in kept[i + 1 :]:
            ps = [
                compute_association_p(failed, a.levels, _design(a, groups, b), a.ordered)
                for a, b in ((one, other), (other, one))
            ]
            if all(p is None or p > ALPHA for p in ps):
                return (*one.names, *other.names)
    return ()


def _levels(failed: Sequence[bool], group: _Group) -> str:
    """The level that fails most, against the rest."""
    tally: dict[Hashable, list[bool]] = {}
    for value, fails in zip(group.values, failed, strict=True):
        tally.setdefault(value, []).append(fails)
    worst = max(tally, key=lambda value: sum(tally[value]) / len(tally[value]))
    k, n = sum(tally[worst]), len(tally[worst])
    name = f"part {worst + 1} of {PARTS}" if group.ordered and isinstance(worst, int) else worst
    return f"most with {name}, {k}/{n} against {sum(failed) - k}/{len(failed) - n} elsewhere"


def _say_nothing_follows(
    failed: Sequence[bool], groups: Sequence[_Group], tested: tuple[TestedFactor, ...]
) -> Attribution:
    points = find_detectable_difference(sum(failed), len(failed), len(groups))
    could = (
        f"a difference of {round(100 * points)} points between halves of the attempts"
        if points
        else "no difference, so few are the attempts,"
    )
    text = (
        f"failures follow nothing recorded: {sum(failed)}/{len(failed)} failed, "
        f"{len(groups)} factors tested; {could} would have been found with 80 % power"
    )
    return Attribution(Follows.NOTHING, text + _alike(groups), (), tested)


def _alike(groups: Sequence[_Group]) -> str:
    """Every perfect confounding of the run, whether or not failures follow it."""
    pairs = [f"{g.label} vary together" for g in groups if len(g.names) > 1]
    return f"; confounded: {'; '.join(pairs)}" if pairs else ""

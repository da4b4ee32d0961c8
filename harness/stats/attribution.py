"""Which recorded factor do failures follow? Pure.

Each factor is tested within the cells of the design, so that an axis's effect is not taken for a
device's; Holm's correction is over all factors that could be tested.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import Enum

from harness.stats.contrasts import ALPHA, adjust_holm
from harness.stats.factors import (
    PARTS,
    Factor,
    Group,
    collect_groups,
    list_weights,
    make_strata,
    number_values,
)
from harness.stats.interactions import compute_additivity_p
from harness.stats.intervals import CountError
from harness.stats.permutation import compute_association_p
from harness.stats.power import find_detectable_difference
from harness.stats.replay import LeaseLog, Origin, Replays, replay_leases
from harness.stats.spread import compute_unit_p

#: So many attempts are tested at most: the first ones, in lease order.
MOST_ATTEMPTS = 20_000
#: A device is named, and not "device and zygote", only if zygotes dealt out to devices by chance
#: would follow them so in fewer runs than this.
UNIT_ALPHA = 0.01


class Follows(Enum):
    """What the failures follow."""

    FACTOR = "follows"
    NOTHING = "follows nothing recorded"
    CONFOUNDED = "confounded"
    CANNOT_SAY = "cannot say"


@dataclass(frozen=True, slots=True)
class TestedFactor:
    """One factor, or several that vary together and are therefore one; or two axes jointly."""

    names: tuple[str, ...]
    p: float | None
    p_adjusted: float | None
    joint: bool = False


@dataclass(frozen=True, slots=True)
class Attribution:
    """The verdict, its sentence, the factors it names, and every test behind it."""

    verdict: Follows
    sentence: str
    named: tuple[str, ...]
    tested: tuple[TestedFactor, ...]


@dataclass(frozen=True, slots=True)
class _Tests:
    """What the groups of one run are tested on."""

    failed: Sequence[bool]
    groups: Sequence[Group]
    replays: Replays | None

    def test(self, group: Group) -> float | None:
        """Return the p-value that failures do not follow the group; None if it cannot be tested."""
        strata = make_strata(group, self.groups)
        p = compute_association_p(self.failed, group.levels, strata, group.ordered)
        if p is None or self.replays is None or group.origin is Origin.PLAN or p > ALPHA:
            # The replay guards against naming falsely; what would not be named needs none.
            return p
        return max(p, self.replays.compute_p(group.levels, group.origin))

    def adds(self, group: Group, given: Group) -> bool:
        """Whether failures follow the group among attempts that are alike in the other."""
        strata = make_strata(group, self.groups, given)
        p = compute_association_p(self.failed, group.levels, strata, group.ordered)
        return p is not None and p <= ALPHA

    def outweighs_units(self, group: Group, units: Group) -> bool:
        """Whether whole units, exchanged between the group's levels, would seldom follow it so."""
        cells = number_values(make_strata(group, self.groups))
        return compute_unit_p(self.failed, cells, units.levels, group.levels) <= UNIT_ALPHA


def attribute_failures(
    failed: Sequence[bool], factors: Sequence[Factor], log: LeaseLog | None = None
) -> Attribution:
    """Name the factor that failures follow, over the valid attempts of a run.

    Factors that split the attempts alike are one group and are always called confounded. Each
    group is tested by `compute_association_p` within cells (an axis within the other axes, two axes
    jointly within the rest), Holm over groups. Factors whose levels depend on how long attempts
    take are tested by `Replays.compute_p` too if the lease `log` is given. Of several that follow,
    one that adds nothing given another is dropped. Assumes attempts of one cell are exchangeable
    but for the factors. Only the first MOST_ATTEMPTS are tested.
    """
    if any(len(factor.values) != len(failed) for factor in factors):
        raise CountError("a factor has a value for each attempt, no more and no fewer")
    groups = collect_groups(factors)
    if not groups:
        return Attribution(Follows.CANNOT_SAY, "cannot say: no recorded factor varies", (), ())
    if sum(failed) in (0, len(failed)):
        every = "every" if failed and failed[0] else "no"
        text = f"cannot say: {every} attempt failed, so failures follow nothing in particular"
        return Attribution(Follows.CANNOT_SAY, text, (), ())
    tests = _Tests(failed, groups, replay_leases(failed, log) if log else None)
    tested = _adjust(groups, [tests.test(group) for group in groups])
    found = [g for g, t in zip(groups, tested, strict=True) if (t.p_adjusted or 1.0) <= ALPHA]
    if not found:
        return _say_nothing_follows(failed, groups, tested)
    return _name_factors(tests, _select_unexplained(tests, _settle_pairs(failed, found)), tested)


def _adjust(groups: Sequence[Group], ps: Sequence[float | None]) -> tuple[TestedFactor, ...]:
    weights = list_weights(groups)
    known = [(p, w) for p, w in zip(ps, weights, strict=True) if p is not None]
    adjusted = iter(adjust_holm([p for p, _ in known], [w for _, w in known]))
    return tuple(
        TestedFactor(g.names, p, None if p is None else next(adjusted), bool(g.parts))
        for g, p in zip(groups, ps, strict=True)
    )


def _settle_pairs(failed: Sequence[bool], found: Sequence[Group]) -> list[Group]:
    """Keep two axes jointly where their rates do not add, else each of them by itself."""
    pairs = [group for group in found if group.parts]
    joint = []
    for pair in pairs:
        p = compute_additivity_p(failed, *(number_values(part.levels) for part in pair.parts))
        alone = any(part in found for part in pair.parts)
        if not alone or (p is not None and p * len(pairs) <= ALPHA):
            joint.append(pair)
    within = [part for pair in joint for part in pair.parts]
    return [group for group in found if group in joint or not (group.parts or group in within)]


def _select_unexplained(tests: _Tests, found: Sequence[Group]) -> list[Group]:
    """Of the groups found, those that another does not explain away."""

    def is_explained(group: Group, other: Group) -> bool:
        if tests.adds(group, other):
            return False
        if tests.adds(other, group):
            return True
        return group.determines(other) and other.axis == group.axis

    return [g for g in found if not any(is_explained(g, o) for o in found if o is not g)] or [
        *found
    ]


def _name_factors(
    tests: _Tests, kept: Sequence[Group], tested: tuple[TestedFactor, ...]
) -> Attribution:
    together = _join(tests, kept)
    if together:
        text = (
            f"confounded: failures follow {' and '.join(together)}, which vary together; "
            "this run cannot tell them apart"
        )
        return Attribution(Follows.CONFOUNDED, text, together, tested)
    p_of = {(t.names, t.joint): t.p_adjusted for t in tested if t.p_adjusted is not None}
    parts = [
        f"{g.label}: {_levels(tests.failed, g)}, p = {p_of[g.names, bool(g.parts)]:.2g}"
        for g in kept
    ]
    text = f"failures follow {'; and '.join(parts)} (Holm over {len(p_of)} factors)"
    named = tuple(dict.fromkeys(name for group in kept for name in group.names))
    return Attribution(Follows.FACTOR, text + _alike(tests.groups), named, tested)


def _join(tests: _Tests, kept: Sequence[Group]) -> tuple[str, ...]:
    """Names that cannot be told apart: one group of several, an axis and a factor of which each
    level saw one value of it, a factor whose units (zygotes of a device) would follow it by chance,
    or a pair where neither adds to the other."""
    for group in kept:
        if len(group.names) > 1 and not group.parts:
            return group.names
        for finer in tests.groups:
            if group.axis and not finer.axis and finer.determines(group):
                return (*group.names, *finer.names)
            if _is_no_more_than(tests, finer, group):
                return (*group.names, *finer.names)
    for i, one in enumerate(kept):
        for other in kept[i + 1 :]:
            if not tests.adds(one, other) and not tests.adds(other, one):
                return (*one.names, *other.names)
    return ()


def _is_no_more_than(tests: _Tests, units: Group, group: Group) -> bool:
    """Whether the group's units are nested in it and explain what it shows by themselves."""
    nested = units.origin is Origin.ZYGOTE and units is not group and units.determines(group)
    return nested and group.origin is not Origin.PLAN and not tests.outweighs_units(group, units)


def _levels(failed: Sequence[bool], group: Group) -> str:
    """The level that fails most, against the rest."""
    tally: dict[Hashable, list[bool]] = {}
    for value, fails in zip(group.values, failed, strict=True):
        tally.setdefault(value, []).append(fails)
    worst = max(tally, key=lambda value: sum(tally[value]) / len(tally[value]))
    k, n = sum(tally[worst]), len(tally[worst])
    elsewhere = f"{sum(failed) - k}/{len(failed) - n} elsewhere"
    return f"most with {_name(group, worst)}, {k}/{n} against {elsewhere}"


def _name(group: Group, value: Hashable) -> str:
    if group.parts and isinstance(value, tuple):
        return " and ".join(_name(*one) for one in zip(group.parts, value, strict=True))
    numbered = group.ordered and isinstance(value, int)
    return f"part {int(str(value)) + 1} of {PARTS}" if numbered else str(value)


def _say_nothing_follows(
    failed: Sequence[bool], groups: Sequence[Group], tested: tuple[TestedFactor, ...]
) -> Attribution:
    points = find_detectable_difference(sum(failed), len(failed), len(groups))
    could = (
        f"a difference of {round(100 * points)} points between halves of the attempts would have "
        "been found with 80 % power"
        if points
        else "so few attempts could not have shown any difference with 80 % power"
    )
    text = (
        f"failures follow nothing recorded: {sum(failed)}/{len(failed)} failed, "
        f"{len(groups)} factors tested; {could}"
    )
    return Attribution(Follows.NOTHING, text + _alike(groups), (), tested)


def _alike(groups: Sequence[Group]) -> str:
    """Every perfect confounding of the run, whether or not failures follow it."""
    pairs = [f"{g.label} vary together" for g in groups if len(g.names) > 1]
    return f"; confounded: {'; '.join(pairs)}" if pairs else ""

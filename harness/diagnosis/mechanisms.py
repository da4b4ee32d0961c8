"""From findings to the class of the mechanism: one table, one pure function."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.diagnosis.findings import Finding

_MEMORY = frozenset({"out-of-memory"})
_WAITING = frozenset({"hang", "collective-timeout"})


def _join(*names: str) -> frozenset[str]:
    return frozenset(names)


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One class: arms that make its failures go away, and those in which they may or may not.

    `needs`: arms that must have been done and passed. In every other arm it fails as before.
    `kinds`: the only kinds that it shows; empty for any.
    """

    name: str
    says: str
    passes: frozenset[str]
    open: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    rises: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()


#: The more particular classes first.
MECHANISMS: tuple[Mechanism, ...] = (
    Mechanism(
        "memory-exhaustion", "memory that a capture order cannot share runs out",
        _join("eager", "order"), _join("pools", "two-phase"), _join("order"), kinds=_MEMORY,
    ),
    Mechanism(
        "rank-divergence", "one rank does not come to a collective",
        _join("one rank"), _join("single", "short", "same"), _join("one rank"), kinds=_WAITING,
    ),
    Mechanism(
        "cache-state", "what a compiler's cache holds decides",
        _join("cold"), _join("short", "same", "single"), _join("cold"),
    ),
    Mechanism(
        "bad-device", "one device fails and others do not",
        _join("device"), _join("single", "short", "same"), _join("device"),
    ),
    Mechanism(
        "workspace-grown-in-capture", "a workspace is replaced while graphs are captured",
        _join("eager", "order", "two-phase"), _join("single", "pools", "exact"),
        _join("order", "two-phase"),
    ),
    Mechanism(
        "pool-aliasing", "graphs that share a pool write over what is still read",
        _join("eager", "pools"), _join("order", "single", "exact", "chain", "same", "short"),
        _join("pools"),
    ),
    Mechanism(
        "uninitialised-read", "a padded graph reads what nobody wrote",
        _join("eager", "exact", "single"), _join("order", "pools", "short", "same"),
        _join("exact"), rises=_join("poison"),
    ),
    Mechanism(
        "stale-padding", "rows beyond a batch keep what they held",
        _join("eager", "exact", "single"), _join("short", "same"), _join("exact"),
    ),
    Mechanism(
        "undersized-buffer", "a buffer lacks a factor and its end is overrun",
        _join("eager", "short", "chain"), _join("single", "same", "exact"), _join("chain"),
    ),
    Mechanism(
        "workspace-grown-later", "a workspace is replaced after capture",
        _join("eager", "short", "single"), _join("same", "exact"), _join("short", "single"),
    ),
    Mechanism(
        "frozen-value", "a number is baked into the graph",
        _join("eager", "short"), _join("same"), _join("short"),
    ),
    Mechanism(
        "layout-mismatch", "rows are laid out otherwise in capture and replay",
        _join("eager", "single"), _join("same"), _join("single"),
    ),
    Mechanism(
        "out-of-bounds-write", "a write past a row's end hits what stands beside it in the pool",
        _join("eager", "pages", "chain"),
        _join("order", "two-phase", "pools", "single", "short", "exact", "same"),
        _join("pages"),
    ),
    Mechanism(
        "freed-input", "graphs read inputs that their owner has freed",
        _join("eager"), _join("same"), _join("eager"),
    ),
    Mechanism(
        "narrow-threshold", "what is asked lies inside the noise: nothing that was varied matters",
        frozenset(), _join("single", "same", "short"),
    ),
)  # fmt: skip

BY_NAME = {one.name: one for one in MECHANISMS}


#: What to do next about a class, with a suite and a failed attempt of it. Any other class: AUDIT.
AUDIT = "harness run {suite} --audit --repeats 3 (a graph's pointers to freed memory)"
NEXT: Mapping[str, str] = {
    "out-of-bounds-write": "compare how much is written with the room that there is, in the "
    "largest batch and tree (on CUDA: harness rerun {attempt} --memcheck)",
    "memory-exhaustion": "harness capture-cost (what each capture order costs in memory)",
    "rank-divergence": "harness show {attempt} (the stacks of all ranks: one is elsewhere)",
    "cache-state": "empty the caches, or find what the key of a cached kernel leaves out",
    "bad-device": "take the device out, and run the suite on it alone with a sound revision",
    "frozen-value": "look for Python numbers that are read while a graph is captured",
    "layout-mismatch": "compare the strides of the plan at capture and at replay",
    "narrow-threshold": "run the suite on a revision that is known to be sound: it fails there too",
}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The first class that fits, all that fit, and for each excluded one the arms that speak."""

    named: str
    fitting: tuple[str, ...]
    excluded: Mapping[str, tuple[str, ...]]


def name_mechanism(findings: Mapping[str, Finding], kind: str) -> Diagnosis:
    """Return which classes fit the findings of the arms, by name. `kind`: the failures' own."""
    excluded: dict[str, tuple[str, ...]] = {}
    fitting: list[Mechanism] = []
    for one in MECHANISMS:
        against = tuple(_find_contradictions(one, findings, kind))
        if against:
            excluded[one.name] = against
        else:
            fitting.append(one)
    # Needed evidence and evidence that memory's content matters outweigh the table's order.
    fitting.sort(key=lambda one: -len(one.rises))
    names = tuple(one.name for one in fitting)
    return Diagnosis(names[0] if names else "", names, excluded)


def _find_contradictions(
    one: Mechanism, findings: Mapping[str, Finding], kind: str
) -> Iterable[str]:
    if one.kinds and kind not in one.kinds:
        yield f"kind {kind}"
    for arm in one.needs:
        if findings.get(arm, Finding.NOT_DONE) is not Finding.PASSES:
            yield f"{arm} does not pass"
    for arm in one.rises:
        if findings.get(arm, Finding.NOT_DONE) is not Finding.RISES:
            yield f"{arm} does not raise the rate"
    for arm, finding in findings.items():
        if arm in one.open | one.needs | one.rises | {"poison", "canary", "blocking"}:
            continue
        if arm in one.passes and finding in (Finding.FAILS, Finding.RISES):
            yield f"{arm} fails"
        if arm not in one.passes and finding is Finding.PASSES:
            yield f"{arm} passes"
        # Where nothing is said to matter, silence is no evidence: the arm must have failed.
        if not one.passes and finding is Finding.UNDECIDED:
            yield f"{arm} never failed"

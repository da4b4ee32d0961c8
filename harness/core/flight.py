"""Which rank is missing in a collective, from the flight recorders of torch's process groups. Pure.

Every process group numbers its collectives. The rank whose record ends with a lower number than the
others' has not entered the collective that they wait in. A graph's replay enters its collectives
without a number: of those nothing is known.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_MOST_GROUPS = 16
_MOST_NAME = 160
_MOST_FRAMES = 64
_TORCH = "/torch/"
_NO_RANK_MISSING = ("all ranks", "only")


@dataclass(frozen=True, slots=True)
class LastCollective:
    """The last collective of one process group that a rank entered."""

    group: str
    number: int
    name: str
    sizes: str
    state: str
    where: str


def read_record(value: Any) -> list[LastCollective]:
    """Return each group's last collective; what has another shape is left out."""
    whole = value if isinstance(value, dict) else {}
    entries = whole.get("entries")
    found = {group: _make_none(group) for group in _list_groups(whole.get("pg_config"))}
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or entry.get("is_p2p") is True:
            continue
        number, group = entry.get("collective_seq_id"), _read_group(entry)
        if isinstance(number, int) and (group in found or len(found) < _MOST_GROUPS):
            known = found.get(group)
            if known is None or number >= known.number:
                found[group] = _read_entry(entry, group, number)
    return list(found.values())


def _list_groups(groups: Any) -> list[str]:
    """Return the groups that a rank is in; one without a name is the record's own mistake."""
    named = [
        f"{name} {one.get('desc', '')}"[:_MOST_NAME]
        for name, one in (groups.items() if isinstance(groups, dict) else ())
        if name and isinstance(one, dict)
    ]
    return named[:_MOST_GROUPS]


def _make_none(group: str) -> LastCollective:
    return LastCollective(group, 0, "none", "", "nothing entered", "")


def _read_group(entry: Mapping[str, Any]) -> str:
    group = entry.get("process_group", "?")
    parts = group if isinstance(group, tuple | list) else (group,)
    return " ".join(str(part) for part in parts[:2])[:_MOST_NAME]


def _read_entry(entry: Mapping[str, Any], group: str, number: int) -> LastCollective:
    name, state = (str(entry.get(key, "?"))[:80] for key in ("profiling_name", "state"))
    sizes = str(entry.get("input_sizes", ""))[:80]
    return LastCollective(group, number, name, sizes, state, _find_caller(entry.get("frames")))


def _find_caller(frames: Any) -> str:
    """Return the innermost frame that is none of torch's own; empty if there is none."""
    for frame in frames[:_MOST_FRAMES] if isinstance(frames, list) else []:
        file = str(frame.get("filename", "?")) if isinstance(frame, dict) else _TORCH
        if _TORCH not in file:
            name, line = (str(frame.get(key, "?")) for key in ("name", "line"))
            return f"{name} ({file.rpartition('/')[2]}:{line})"[:200]
    return ""


def describe_collectives(records: Mapping[int, Sequence[LastCollective]]) -> list[str]:
    """Return which ranks are missing in which collective, and what each rank entered last.

    Groups in which a rank is missing come first.
    """
    groups = dict.fromkeys(one.group for found in records.values() for one in found)
    described = [list(_describe_group(group, records, len(groups) > 1)) for group in groups]
    return [line for lines in sorted(filter(None, described), key=_is_in_step) for line in lines]


def _is_in_step(lines: Sequence[str]) -> bool:
    return lines[0].startswith(_NO_RANK_MISSING)


def _describe_group(
    group: str, records: Mapping[int, Sequence[LastCollective]], several: bool
) -> Iterator[str]:
    last = {
        rank: one for rank, found in sorted(records.items()) for one in found if one.group == group
    }
    newest = max(one.number for one in last.values())
    if not newest:
        return
    inside = {rank: one for rank, one in last.items() if one.number == newest}
    behind = [rank for rank in last if rank not in inside]
    name = Counter(one.name for one in inside.values()).most_common(1)[0][0]
    of = f" of group {group}" if several else ""
    if behind:
        yield (
            f"{_name(behind)} {'has' if len(behind) == 1 else 'have'} not entered collective "
            f"{newest} ({name}){of}, in which {_name(list(inside))} "
            f"{'waits' if len(inside) == 1 else 'wait'}"
        )
    elif len({(one.name, one.sizes) for one in inside.values()}) > 1:
        yield f"the ranks entered different collectives as number {newest}{of}"
    elif len(last) == 1:
        alone = _name(list(last))
        yield f"{_NO_RANK_MISSING[1]} {alone} has a record{of}: who is missing cannot be told"
    else:
        yield f"{_NO_RANK_MISSING[0]} with a record have entered collective {newest} ({name}){of}"
    for rank, one in last.items():
        where = f" in {one.where}" if one.where else ""
        yield f"rank {rank}: collective {one.number}, {one.name} {one.sizes}, {one.state}{where}"


def _name(ranks: Sequence[int]) -> str:
    return ", ".join(f"rank {rank}" for rank in ranks)

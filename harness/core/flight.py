"""Which rank is missing in a collective, from the flight recorders of torch's process groups. Pure.

Every process group numbers its collectives. The rank whose record ends with a lower number than the
others' has not entered the collective that they wait in.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_MOST_GROUPS = 16


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
    entries = value.get("entries") if isinstance(value, dict) else None
    found: dict[str, LastCollective] = {}
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or entry.get("is_p2p") is True:
            continue
        number, group = entry.get("collective_seq_id"), str(entry.get("process_group", "?"))[:80]
        if isinstance(number, int) and (group in found or len(found) < _MOST_GROUPS):
            known = found.get(group)
            if known is None or number >= known.number:
                found[group] = _read_entry(entry, group, number)
    return list(found.values())


def _read_entry(entry: Mapping[str, Any], group: str, number: int) -> LastCollective:
    name, state = (str(entry.get(key, "?"))[:80] for key in ("profiling_name", "state"))
    frames = entry.get("frames")
    first = frames[0] if isinstance(frames, list) and frames else {}
    where = ""
    if isinstance(first, dict) and "name" in first:
        file = str(first.get("filename", "?")).rpartition("/")[2]
        where = f"{first['name']} ({file}:{first.get('line', '?')})"[:200]
    return LastCollective(group, number, name, str(entry.get("input_sizes", ""))[:80], state, where)


def describe_collectives(records: Mapping[int, Sequence[LastCollective]]) -> list[str]:
    """Return which ranks are missing in which collective, and what each rank entered last."""
    groups = dict.fromkeys(one.group for found in records.values() for one in found)
    return [line for group in groups for line in _describe_group(group, records)]


def _describe_group(group: str, records: Mapping[int, Sequence[LastCollective]]) -> Iterator[str]:
    last = {
        rank: one for rank, found in sorted(records.items()) for one in found if one.group == group
    }
    newest = max(one.number for one in last.values())
    inside = {rank: one for rank, one in last.items() if one.number == newest}
    behind = [rank for rank in last if rank not in inside]
    name = Counter(one.name for one in inside.values()).most_common(1)[0][0]
    if behind:
        yield (
            f"{_name(behind)} {'has' if len(behind) == 1 else 'have'} not entered collective "
            f"{newest} ({name}), in which {_name(list(inside))} wait"
        )
    elif len({(one.name, one.sizes) for one in inside.values()}) > 1:
        yield f"the ranks entered different collectives as number {newest}"
    for rank, one in last.items():
        where = f" in {one.where}" if one.where else ""
        yield f"rank {rank}: collective {one.number}, {one.name} {one.sizes}, {one.state}{where}"


def _name(ranks: Sequence[int]) -> str:
    return ", ".join(f"rank {rank}" for rank in ranks)

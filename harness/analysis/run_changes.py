"""What differs between two runs beside their attempts: each may be why their rates differ. Pure."""

from typing import Any

from harness.core.records import RunRecord

_OPTIONS = ("isolation", "slots", "timeout_s", "in_process_reruns", "keyword", "address")


def list_changes(base: RunRecord, head: RunRecord) -> list[str]:
    """Return a line per recorded fact that is not the same in both runs."""
    before, after = _collect_facts(base), _collect_facts(head)
    return [
        f"{name}: {_format_fact(before.get(name))} -> {_format_fact(after.get(name))}"
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    ]


def _collect_facts(run: RunRecord) -> dict[str, Any]:
    print_of = run.fingerprint
    devices = print_of.get("devices") or []
    facts: dict[str, Any] = {
        "commit": print_of.get("sha"),
        "local changes": print_of.get("dirty"),
        "device": run.device,
        "device models": sorted({str(device.get("name")) for device in devices}),
        "devices": sorted(str(device.get("uuid") or device.get("id")) for device in devices),
        "nodes": sorted({str(device.get("node")) for device in devices}),
        "in CI": run.plan.get("in_ci"),
    }
    for name in ("driver", "python", "kernel", "machine", "cpu", "cores"):
        facts[name] = print_of.get(name)
    facts |= {f"package {k}": v for k, v in (print_of.get("packages") or {}).items()}
    return facts | {f"option {name}": run.options.get(name) for name in _OPTIONS}


def _format_fact(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)

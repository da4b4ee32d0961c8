"""`harness doctor`: what this machine offers, said before a run finds out."""

import importlib.util
from importlib import metadata

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.cluster.devices import count_usable_cores, find_gpus
from harness.core.backends import BACKENDS, explain_absence, get_spec
from harness.core.errors import StoreError
from harness.core.exits import ExitCode
from harness.driver.fingerprint import fingerprint
from harness.driver.state import list_stores
from harness.store.open import open_store


def print_doctor(location: str | None) -> int:
    """Print devices, backends with the reason where one is missing, versions, Ray and store."""
    console = Console()
    table = Table(show_header=False, box=None)
    found, reason = find_gpus()
    machine = fingerprint([])
    table.add_row("GPUs", "\n".join(f"{d.name} {d.id}" for d in found) or f"none ({reason})")
    table.add_row("CPU", f"{machine['cpu']}, {count_usable_cores()} slots (recorded graphs)")
    table.add_row("driver", machine["driver"] or "none")
    for name in BACKENDS:
        table.add_row(f"backend {name}", _backend(name, bool(found)))
    for name, version in machine["packages"].items():
        if name != "ray":
            table.add_row(name, version)
    table.add_row("ray", _ray())
    for path in [location] if location else list_stores():
        table.add_row("store", escape(_store(path)))
    console.print(table, soft_wrap=True)
    return ExitCode.OK


def _backend(name: str, has_gpu: bool) -> str:
    devices = ("cuda", "cpu") if has_gpu else ("cpu", "cuda")
    told = {device: explain_absence(name, device) for device in devices}
    usable = [device for device, reason in told.items() if reason is None]
    if not has_gpu and "cuda" in usable:
        usable.remove("cuda")
    if usable:
        return f"yes, on {', '.join(usable)}; {_describe_pages(name)}"
    return f"no: {told[devices[0]]}"


def _describe_pages(name: str) -> str:
    """How the backend's installed build reads pages."""
    multiple = get_spec(name).native_pages
    if not multiple:
        return "pages gathered into a workspace"
    if multiple == 1:
        return "reads page tables"
    return f"reads page tables of multiples of {multiple} tokens, gathers others"


def _ray() -> str:
    if importlib.util.find_spec("ray") is None:
        return "not installed"
    return f"{metadata.version('ray')}; a run starts a private one unless --address is given"


def _store(location: str) -> str:
    try:
        store = open_store(location, write=False)
    except StoreError as error:
        return str(error)
    try:
        return f"{location}, {len(store.runs())} runs"
    finally:
        store.close()

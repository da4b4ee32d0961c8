"""Try the capture-order overlays on the published sources of many versions of each engine.

    python tools/check_overlays.py [sglang==0.5.12 ...]

Fetches single modules from a package index, applies each overlay to them, and prints what it did.
Exits with 1 if a version that an overlay is meant for is refused.
"""

import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.hook.ordering import Ordering
from harness.hook.overlays import patching
from harness.hook.overlays.rows import ENGINES, Engine, Target, list_modules
from harness.hook.refusal import HookRefusal
from tests.hook import published

VERSIONS = {
    "sglang": ("0.5.5", "0.5.6", "0.5.8", "0.5.10", "0.5.12", "0.5.15", "0.5.18", "0.5.20",
               "0.5.23"),
    "vllm": ("0.11.2", "0.12.0", "0.13.0", "0.14.1", "0.15.1", "0.16.0", "0.17.1", "0.18.1",
             "0.19.1", "0.21.0", "0.25.1", "0.29.0", "0.33.0"),
}  # fmt: skip


def _make_class() -> type:
    return type("Stand-in", (), {"get_capture_descs": print, "capture": print})


def try_target(engine: Engine, target: Target, version: str, source: str) -> str:
    """Apply one overlay to one published module. Return what it did, or why it refused."""
    package = ModuleType(f"{engine.name}.version")
    vars(package)["__version__"] = version
    sys.modules[package.__name__] = package
    loader = MagicMock(**{"get_source.return_value": source})
    module = MagicMock(__name__=target.module, __spec__=MagicMock(loader=loader))
    module.CudagraphDispatcher, module.CudaGraphManager = _make_class(), _make_class()
    try:
        return patching.patch_module(engine, target, module, Ordering("ascending", 0)) or "as it is"
    except HookRefusal as refusal:
        return f"REFUSED: {refusal}"


def check_version(engine: Engine, version: str) -> bool:
    """Print what the overlay does to a version's modules. Return whether anything is turned."""
    sources = published.read_sources(engine.name, version, list_modules(engine))
    results = {
        target.module: try_target(engine, target, version, sources[target.module])
        for target in engine.targets
        if target.module in sources
    }
    for module, result in results.items():
        name = module.rpartition(".")[2]
        sys.stdout.write(f"{engine.name} {version:8} {name:52} {result}\n")
    refused = [result for result in results.values() if result.startswith("REFUSED")]
    turned = [r for r in results.values() if r in ("reversed", "dispatcher", "manager")]
    return bool(turned) and not refused


def main() -> int:
    """Check what the arguments name, else every version of VERSIONS."""
    wanted = [one.split("==") for one in sys.argv[1:]] or [
        [name, version] for name, versions in VERSIONS.items() for version in versions
    ]
    engines = {engine.name: engine for engine in ENGINES}
    good = [check_version(engines[name], version) for name, version in wanted]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())

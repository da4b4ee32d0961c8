"""Which stores a command reads and writes: the named one, else those of this folder's state."""

import contextlib
from collections.abc import Iterator

from harness.driver.state import list_stores
from harness.store.group import StoreGroup, open_stores


@contextlib.contextmanager
def open_known_stores(location: str | None) -> Iterator[StoreGroup]:
    """Open for reading the store at `location`, else every one that holds runs of this folder."""
    with open_stores([location] if location else list_stores()) as stores:
        yield stores


def locate_run(name: str, location: str | None) -> str:
    """Return where the store of a run is. Raise UsageError if no store has such a run."""
    if location:
        return location
    with open_known_stores(None) as stores:
        return str(stores.find_run(name)[0].path)

"""Several stores that are read as one: a person's own runs, and those of revisions."""

import contextlib
import heapq
from collections.abc import Iterator, Sequence

from harness.core.errors import NoStoreError
from harness.core.records import AttemptRow, RunRecord
from harness.store.open import open_store
from harness.store.selection import select_attempt, select_run
from harness.store.store import Store


class StoreGroup:
    """The runs of one or more stores, each with the store that holds it."""

    def __init__(self, stores: Sequence[Store]) -> None:
        self.stores = stores

    def list_runs(self) -> list[tuple[Store, RunRecord]]:
        """Return all runs, the newest first. Only runs of two stores are compared by the clock."""
        listed = [[(store, record) for record in store.runs()] for store in self.stores]
        return list(heapq.merge(*listed, key=lambda found: -found[1].created))

    def find_run(self, name: str) -> tuple[Store, RunRecord]:
        """Return the run with this id, unique prefix, or `latest`. Raise UsageError for others."""
        runs = self.list_runs()
        chosen = select_run([record for _, record in runs], name)
        return next((store, record) for store, record in runs if record is chosen)

    def find_attempt(self, name: str) -> tuple[Store, AttemptRow]:
        """Return the attempt with this id or unique prefix. Raise UsageError if none fits."""
        found = [(store, row) for store in self.stores for row in store.find_attempts(name)]
        chosen = select_attempt([row for _, row in found], name)
        return next((store, row) for store, row in found if row is chosen)


@contextlib.contextmanager
def open_stores(locations: Sequence[str]) -> Iterator[StoreGroup]:
    """Open for reading those stores that exist. Raise NoStoreError if none does."""
    with contextlib.ExitStack() as stack:
        found = []
        for location in locations:
            with contextlib.suppress(NoStoreError):
                found.append(stack.enter_context(open_store(location, write=False)))
        if not found:
            where = " or ".join(locations)
            raise NoStoreError(
                f"no store at {where}; `harness run` makes one, --store names another"
            )
        yield StoreGroup(found)

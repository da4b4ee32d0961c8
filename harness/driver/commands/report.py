"""`harness report`: a stored run's table again, from the store alone."""

from harness.driver.execution import report_run
from harness.driver.outputs import Outputs
from harness.store.open import open_store


def show_run(name: str, location: str | None, outputs: Outputs) -> int:
    """Print the run and write its files. Return the exit code."""
    outputs.check()
    store = open_store(location, write=False)
    try:
        return report_run(store, store.run(name).id, outputs)
    finally:
        store.close()

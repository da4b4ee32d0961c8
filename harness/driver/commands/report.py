"""`harness report`: a stored run's table again, from the store alone."""

import sys

from harness.core.statuses import RunStatus
from harness.driver import messages
from harness.driver.context import find_run_folder
from harness.driver.execution import report_run
from harness.driver.outputs import Outputs
from harness.driver.ownership import has_driver
from harness.store.open import open_store


def show_run(name: str, location: str | None, outputs: Outputs) -> int:
    """Print the run and write its files. Return the exit code."""
    outputs.check()
    with open_store(location, write=False) as store:
        run = store.run(name)
        if run.status is RunStatus.RUNNING and not has_driver(find_run_folder(run.id)):
            sys.stderr.write(messages.say_driver_gone(run.id) + "\n")
        return report_run(store, run.id, outputs)

"""`harness report`: a stored run's table again, from the store alone."""

import sys

from harness.driver import messages
from harness.driver.execution import report_run
from harness.driver.outputs import Outputs
from harness.driver.ownership import is_abandoned
from harness.driver.stores import open_known_stores


def show_run(name: str, location: str | None, outputs: Outputs) -> int:
    """Print the run and write its files. Return the exit code."""
    outputs.check()
    with open_known_stores(location) as stores:
        store, run = stores.find_run(name)
        if is_abandoned(run):
            sys.stderr.write(messages.say_driver_gone(run.id) + "\n")
        return report_run(store, run.id, outputs)

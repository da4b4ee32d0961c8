"""A stored run as a run under way again."""

from harness.core.plan import plan_from_dict
from harness.core.records import RunRecord
from harness.driver.context import RunContext
from harness.driver.options import read_options


def restore_context(record: RunRecord) -> RunContext:
    """Return the run with the plan and the options that it was stored with."""
    return RunContext(
        record=record,
        plan=plan_from_dict(record.plan),
        options=read_options(record.options),
        isolation="fork" if record.options["isolation"] == "fork" else "spawn",
    )

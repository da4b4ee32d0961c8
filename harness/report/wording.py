"""The sentences and labels that reports show, gathered in one place."""

OTHER_ORDER = "{}, asked: {}"
AS_ASKED = "as asked"

KINDS_TITLE = "kinds of failure (exploratory)"
TESTS_TITLE = "tests that failed (exploratory)"
CONTRASTS_TITLE = "comparisons, p corrected for their number"

UNREACHED = (
    "not reached in {2}: {0} tests that never failed, up to {1} times each ({3}, for instance), "
    "because the process had already died"
)
NOT_DECIDED = "undecided: {} of {} planned comparisons: {}{}"
TO_DECIDE = "a new run with {} attempts per cell would decide what is open with 80 % power"
MORE = "{} more"
LEFT_OUT = "{} more {} not shown here; run.json has them all."
NEW_RUN = "a new run with {} attempts per cell"
EARLIER_TITLE = "part {} of this run, apart from the rest, before {}"
WARMUP = "warm-up, in no rate: {} in {}: {}"
WARMUP_TITLE = "Warm-up, in no rate"
NO_GRAPHS = "no graph captured"

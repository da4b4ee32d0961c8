"""`--rev` at the start of a run: resolve, make the worktrees, say what differs."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from harness.core.revision import Revision
from harness.driver.options import RunOptions
from harness.driver.revisions.resolve import localise, resolve
from harness.driver.revisions.worktrees import hold_worktrees


@contextlib.contextmanager
def open_revisions(options: RunOptions) -> Iterator[tuple[RunOptions, tuple[Revision, ...]]]:
    """The options with suites as each revision has them, and the revisions, their trees standing.

    Without `--rev` the options as they are, and none.
    """
    if not options.revs:
        yield options, ()
        return
    options = replace(options, suites=tuple(localise(suite) for suite in options.suites))
    revisions = resolve(options.revs, options.rev_pythons, options.suites)
    with hold_worktrees(revisions):
        yield options, revisions

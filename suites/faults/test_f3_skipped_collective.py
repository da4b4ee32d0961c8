"""F3: one rank skips a collective, since an error on the way to it was hidden.

Mechanism (sglang#11275): an exception on one rank is swallowed, so the others never hear of the
step and the rank that goes on waits for them in its first collective. Here rank 0 sends each
command through a buffer of fixed size; a command that does not fit raises, and the error is
suppressed.
"""

import contextlib
import json
from unittest import mock

from faults.case import FaultCase

from harness.engine.distributed.channels import Channels
from harness.engine.serving import ranks
from harness.engine.serving.commands import Message, encode

truth = dict(
    fault="F3",
    kind="hang",
    factor="tp",
    loud=True,
    mechanism="rank-divergence",
    amplifier="jitter",
)
axes = dict(tp=[2, 1])
options = dict(timeout_s=8)

#: Bytes of the buffer. The command that prefills three prompts of one length is longer.
BUFFER = 110


def tell(channels: Channels, message: Message) -> None:
    """Send a command to the other ranks; the fault: what goes wrong stays unsaid."""
    with contextlib.suppress(OverflowError):
        encoded = encode(message)
        if encoded["op"] == "Prefill" and len(json.dumps(encoded)) > BUFFER:
            raise OverflowError(f"a command is longer than {BUFFER} bytes")
        channels.broadcast(encoded)


class TestSkippedCollective(FaultCase):
    """Rank 0 waits for ranks that were not told."""

    engine_args = dict(
        model="suites/models/arith/target",
        backend="torch_native",
        speculative=False,
        cuda_graph_bs=[1, 2, 4],
        max_running=4,
        max_context=32,
        prefix_cache=False,
    )
    pinned = ("backend", "speculative")

    @classmethod
    def plant(cls) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def test_answers_are_the_references(self) -> None:
        with mock.patch.object(ranks, "_tell", tell):
            self.run_load()

"""What a run begins with while the rest of the driver is still imported: a line, and Ray's broker.

Importing Ray takes as long as importing the driver; the two have a core each.
"""

import contextlib
import sys
from collections.abc import Iterator

from harness.cluster.broker_process import BrokerProcess
from harness.driver import messages


@contextlib.contextmanager
def start_broker(address: str | None) -> Iterator[BrokerProcess]:
    """Say that Ray is started and start its broker, which is ended if nobody has done so.

    address: the Ray cluster to join; None for a private Ray.
    """
    sys.stderr.write(messages.say_starting(address) + "\n")
    sys.stderr.flush()
    broker = BrokerProcess(address)
    try:
        yield broker
    finally:
        broker.kill()

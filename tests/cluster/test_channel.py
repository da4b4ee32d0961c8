"""Messages between driver and broker."""

import socket
import threading
from collections.abc import Iterator

import pytest

from harness.cluster.channel import Channel, ChannelClosedError

Channels = tuple[Channel, Channel]


@pytest.fixture
def channels() -> Iterator[Channels]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Channel(ours), Channel(theirs)


def test_messages_arrive_in_order_and_one_longer_than_a_read_arrives_whole(
    channels: Channels,
) -> None:
    ours, theirs = channels
    sent = ["a", b"x" * (3 << 20), {"b": 1}]

    def send_all() -> None:
        for message in sent:
            ours.send(message)

    sender = threading.Thread(target=send_all)
    sender.start()
    received: list[object] = []
    while len(received) < len(sent):
        received += theirs.receive(5.0)
    sender.join()
    assert received == sent


def test_waiting_ends_at_its_time(channels: Channels) -> None:
    ours, _theirs = channels
    assert ours.receive(0.01) == []


def test_the_end_of_the_other_side_is_an_error(channels: Channels) -> None:
    ours, theirs = channels
    theirs.close()
    with pytest.raises(ChannelClosedError):
        ours.receive(1.0)


def test_sending_to_a_side_that_takes_nothing_ends_at_its_time(channels: Channels) -> None:
    ours, _theirs = channels
    with pytest.raises(ChannelClosedError, match=r"0\.05 s"):
        ours.send(b"x" * (8 << 20), timeout_s=0.05)

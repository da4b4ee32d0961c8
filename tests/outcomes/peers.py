"""Rank 0 of several: waits for its follower, over the inherited socket."""

import os
import socket


def test_waits_for_a_word() -> None:
    fd = int(os.environ["HARNESS_CONTROL_FDS"].split(",")[0])
    with socket.socket(fileno=os.dup(fd)) as peer:
        assert peer.recv(5) == b"hello"


def test_sleeps_through_its_peers_death() -> None:
    import time

    time.sleep(600)

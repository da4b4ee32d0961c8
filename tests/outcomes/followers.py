"""Followers for the peers' suite."""

import os
import socket
import time


def control() -> socket.socket:
    return socket.socket(fileno=int(os.environ["HARNESS_CONTROL_FDS"]))


def greets() -> None:
    """Says a word and waits for rank 0's end."""
    with control() as peer:
        peer.sendall(b"hello")
        assert peer.recv(1) == b""


def greets_and_stays() -> None:
    """Says a word and does not notice rank 0's end."""
    control().sendall(b"hello")
    time.sleep(600)


def raises() -> None:
    raise RuntimeError("rank out of order")


def dies_by_signal() -> None:
    """Rank 1 kills itself; the others wait."""
    if os.environ["RANK"] == "1":
        os.kill(os.getpid(), 11)
    time.sleep(600)


def tells_its_device() -> None:
    os.write(1, f"CUDA_VISIBLE_DEVICES={os.environ['CUDA_VISIBLE_DEVICES']}\n".encode())

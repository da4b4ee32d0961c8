"""What ranks above 0 run: build, serve and tear down each engine that rank 0 starts."""

import os

from harness.core.errors import HarnessError
from harness.engine.channels import ChannelClosed, Channels, Command, open_channels, receive, send
from harness.engine.config import config_from_dict
from harness.engine.worker import Worker


def main() -> None:
    """Follow rank 0 until it ends. An error after the build ends this rank, and so the attempt."""
    channels = open_channels(os.environ)
    while True:
        try:
            command = receive(channels.control[0])
        except ChannelClosed:
            return
        _follow_engine(channels, command)


def _follow_engine(channels: Channels, build: Command) -> None:
    """One engine's life. A checkpoint error is rank 0's to raise, so it is sent, not raised."""
    hub = channels.control[0]
    worker = Worker(config_from_dict(build["config"]), channels, os.environ)
    try:
        worker.load()
    except HarnessError as error:
        send(hub, {"error": str(error)})
    else:
        send(hub, {"error": None})
    if receive(hub)["op"] != "start":
        return
    try:
        worker.start(build["serial"])
        _serve(worker, channels)
    finally:
        worker.close()


def _serve(worker: Worker, channels: Channels) -> None:
    while True:
        try:
            command = receive(channels.control[0])
        except ChannelClosed:
            return
        op = command.pop("op")
        if op == "close":
            return
        worker.execute(op, command)

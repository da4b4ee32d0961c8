"""The broker: the process that speaks to Ray for the driver.

Every wait for Ray has a deadline here. If the broker itself stops or is aborted by Ray's own code,
the driver sees that, and starts another. When the driver is gone, the broker ends all it started.
"""

import asyncio
import os
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from socket import socket
from typing import Any, NoReturn

from ray.exceptions import RayError

from harness.attempt.scratch import remove_abandoned
from harness.cluster import leftovers
from harness.cluster.attempts import AttemptFollower
from harness.cluster.channel import Channel, ChannelClosedError
from harness.cluster.crew import Crew
from harness.cluster.messages import (
    ActorRestarted,
    Alive,
    CancelAttempt,
    Close,
    MemberDescription,
    PoolSettings,
    RayLost,
    Ready,
    Refused,
    Report,
    Request,
    RestartActor,
    StartAttempt,
    Warm,
    Warmed,
)
from harness.core.errors import HarnessError

_ALIVE_EVERY_S = 1.0
_PROBE_EVERY_S = 5.0
#: How long Ray may take to answer a question about its nodes.
PROBE_WAIT_S = 20.0
WARM_WAIT_S = 200.0


class Broker:
    """Serves one driver: a task per request, and reports as they come."""

    def __init__(self, crew: Crew, report: Callable[[Report], None]) -> None:
        self._crew = crew
        self._report = report
        self._requests: asyncio.Queue[Request] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._attempts: dict[int, AttemptFollower] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self, request: Request) -> None:
        """Take a request from the thread that reads them."""
        self._loop.call_soon_threadsafe(self._requests.put_nowait, request)

    async def serve(self) -> None:
        """Work until the driver asks to close."""
        self._report(Ready(tuple(_describe_members(self._crew))))
        self._begin(self._say_alive())
        self._begin(self._probe())
        while not isinstance(request := await self._requests.get(), Close):
            self._begin(self._handle(request))
        await self._crew.close()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, request: Request) -> None:
        match request:
            case StartAttempt(number):
                follower = AttemptFollower(self._crew, request, self._report)
                self._attempts[number] = follower
                await follower.run()
                del self._attempts[number]
            case CancelAttempt(number):
                if number in self._attempts:
                    self._attempts[number].cancel()
            case RestartActor(member):
                self._report(ActorRestarted(member, await self._crew.restart(member)))
            case Warm(members):
                await self._warm(members)

    async def _warm(self, members: tuple[int, ...]) -> None:
        pending = [self._crew.actor(member).warm().get(WARM_WAIT_S) for member in members]
        await asyncio.gather(*pending, return_exceptions=True)
        self._report(Warmed())

    async def _say_alive(self) -> None:
        while True:
            self._report(Alive())
            await asyncio.sleep(_ALIVE_EVERY_S)

    async def _probe(self) -> None:
        """Look for parts of Ray that have stopped, and report the first."""
        while True:
            await asyncio.sleep(_PROBE_EVERY_S)
            reason = await self._crew.find_silence(PROBE_WAIT_S)
            if reason:
                self._report(RayLost(reason))
                return


def _describe_members(crew: Crew) -> list[MemberDescription]:
    return [
        MemberDescription(one.described.device, one.slot.node, one.described.host)
        for one in crew.posts
    ]


class _Outbox:
    """Reports on their way to a driver that may be slow to take them."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._reports: SimpleQueue[Report] = SimpleQueue()
        self.put = self._reports.put
        threading.Thread(target=self._send, daemon=True).start()

    def wait_until_sent(self) -> None:
        """Return once the queue is empty, and a moment later."""
        while not self._reports.empty():
            threading.Event().wait(0.01)
        threading.Event().wait(0.05)

    def _send(self) -> None:
        with suppress(ChannelClosedError):
            while True:
                self._channel.send(self._reports.get(), timeout_s=None)


def _read_requests(
    channel: Channel, accept: Callable[[Request], None], end: Callable[[], None]
) -> None:
    try:
        while True:
            for request in channel.receive(None):
                accept(request)  # type: ignore[arg-type] # the driver sends requests alone
    except ChannelClosedError:
        end()


def main(fd: int, folder: Path) -> NoReturn:
    """Serve the driver at the other end of descriptor `fd`; keep Ray's files in `folder`."""
    leftovers.become_subreaper()
    channel = Channel(socket(fileno=fd))
    outbox = _Outbox(channel)
    requests: SimpleQueue[Any] = SimpleQueue()
    accept: list[Callable[[Any], None]] = [requests.put]
    reader = (channel, lambda request: accept[0](request), lambda: _end(folder))
    threading.Thread(target=_read_requests, args=reader, daemon=True).start()
    try:
        asyncio.run(_work(requests, accept, outbox, folder))
    except HarnessError as error:
        outbox.put(Refused(error))
    except (RayError, OSError, RuntimeError) as error:
        traceback.print_exc()
        outbox.put(RayLost(f"Ray could not be used: {error}"))
    outbox.wait_until_sent()
    _end(folder)


async def _work(
    requests: "SimpleQueue[Any]",
    accept: list[Callable[[Any], None]],
    outbox: _Outbox,
    folder: Path,
) -> None:
    settings: PoolSettings = await asyncio.to_thread(requests.get)
    crew = await Crew.muster(settings, folder)
    broker = Broker(crew, outbox.put)
    accept[0] = broker.accept
    while not requests.empty():
        broker.accept(requests.get())
    await broker.serve()


def _end(folder: Path) -> NoReturn:
    """End every process below, Ray's and its actors', and leave without waiting for Ray."""
    leftovers.kill_below(os.getpid())
    leftovers.remove_folder(folder)
    remove_abandoned()  # those of the actors that were killed just now
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))

"""Channels for ranks that plain `torchrun` started, which inherit none: loopback sockets.

Rank 0 listens on a free port and publishes it with a token in torchrun's own store; each follower
connects twice and shows the token, so that a stranger on the machine cannot join.
"""

import json
import secrets
import socket

from harness.engine.distributed import channels, rendezvous

_KEY = "harness/channels"
_TIMEOUT_S = 60.0
_KINDS = ("control", "barrier")


def connect(rank: int, size: int) -> channels.Channels:
    """Open this rank's channels. Blocks until every rank has come."""
    store = rendezvous.open_torchrun_store(rank, size)
    if rank == 0:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(_TIMEOUT_S)
            token = secrets.token_hex(16)
            store.set(_KEY, json.dumps([server.getsockname()[1], token]))
            peers = _accept_all(server, token, size)
        control, barrier = ([peers[kind, r] for r in range(1, size)] for kind in _KINDS)
    else:
        port, token = json.loads(store.get(_KEY))
        control, barrier = ([_introduce(port, token, kind, rank)] for kind in _KINDS)
    return channels.Channels(rank, size, control, barrier)


def _accept_all(
    server: socket.socket, token: str, size: int
) -> dict[tuple[str, int], socket.socket]:
    peers: dict[tuple[str, int], socket.socket] = {}
    while len(peers) < len(_KINDS) * (size - 1):
        peer, _ = server.accept()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        hello = channels.receive(peer)
        if secrets.compare_digest(str(hello.get("token")), token):
            peers[hello["kind"], hello["rank"]] = peer
        else:
            peer.close()
    return peers


def _introduce(port: int, token: str, kind: str, rank: int) -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S)
    peer.settimeout(None)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    channels.send(peer, {"token": token, "kind": kind, "rank": rank})
    return peer

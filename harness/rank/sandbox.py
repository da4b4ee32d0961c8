"""A boundary around one attempt that the kernel keeps: its own PID, mount and IPC namespace.

The keeper forks a helper, since a process can unshare its children's PID namespace only once; the
helper unshares and forks a minimal init, PID 1 in there, which starts and reaps all ranks. When
init dies, the kernel kills everything inside, whatever session or group it moved to.
"""

import ctypes
import fcntl
import os
import signal
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from . import processes

_CLONE_NEWNS = 0x00020000
_CLONE_NEWIPC = 0x08000000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWPID = 0x20000000
_CLONE_NEWNET = 0x40000000

_MS_RDONLY = 1
_MS_REMOUNT = 32
_MS_BIND = 4096
_MS_REC = 16384
_MS_PRIVATE = 1 << 18
_MS_RELATIME = 1 << 21
_MS_NOSUID_NODEV_NOEXEC = 2 | 4 | 8
#: What a remount must repeat of a mount's flags: a user namespace may not drop them.
_KEPT_FLAGS = _MS_NOSUID_NODEV_NOEXEC | os.ST_NOATIME | os.ST_NODIRATIME

#: With these root could undo the mounts, reach init, or load code into the kernel.
_DANGEROUS = (2, 16, 17, 19, 21, 22)  # DAC_READ_SEARCH, SYS_{MODULE,RAWIO,PTRACE,ADMIN,BOOT}
_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAPABILITY_VERSION_3 = 0x20080522

_HANDSHAKE_SECONDS = 10.0
_TMP = "/tmp"

_libc = ctypes.CDLL(None, use_errno=True)


class SandboxError(Exception):
    """The kernel, or who runs it, does not allow the boundary."""


@dataclass(slots=True)
class Boundary:
    """The keeper's end of a boundary that is up."""

    helper: int
    init: int
    socket: socket.socket
    buffer: bytes = b""

    def receive(self) -> list[bytes] | None:
        """Return the lines that init has sent; None once it is gone."""
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        return lines if data else None

    def destroy(self) -> None:
        """Kill init, and with it everything inside."""
        self.socket.close()
        for pid in (self.init, self.helper):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def open_boundary(wanted: dict[str, Any], serve: Callable[[socket.socket], NoReturn]) -> Boundary:
    """Put up a boundary whose init runs `serve` on its end of a socket. Raise SandboxError.

    wanted: `parts` (process, network, tmp); `protected`, paths that become read-only inside;
    `group`, the control group to join; with the part tmp, `tmp`, the folder that /tmp is to be, and
    `kept`, what stays visible in it.
    """
    ours, theirs = socket.socketpair()
    keeper = os.getpid()
    helper = os.fork()
    if helper == 0:
        try:
            _help(keeper, wanted, theirs, serve)
        except BaseException as error:
            theirs.sendall(f"no {error}\n".encode())
        finally:
            os._exit(1)
    theirs.close()
    try:
        return Boundary(helper, _shake_hands(ours), ours)
    except SandboxError:
        ours.close()
        os.kill(helper, signal.SIGKILL)
        raise


def drop_privileges() -> None:
    """Give up what would undo the boundary. Called in each rank, before any code of a test runs."""
    _call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    dropped = _DANGEROUS if os.getuid() == 0 else range(64)
    if os.getuid() == 0:
        for capability in _DANGEROUS:
            _call("prctl", _PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    data = ctypes.create_string_buffer(24)
    _call("capget", header, data)
    words = list(struct.unpack("6I", data.raw))
    for capability in dropped:
        half = capability // 32 * 3
        for set_ in range(3):  # effective, permitted, inheritable
            words[half + set_] &= ~(1 << capability % 32)
    _call("capset", header, struct.pack("6I", *words))


def _shake_hands(ours: socket.socket) -> int:
    """Return the pid of init once it is up."""
    ours.settimeout(_HANDSHAKE_SECONDS)
    text = b""
    while b"ok\n" not in text:
        try:
            data = ours.recv(1 << 12)
        except TimeoutError:
            raise SandboxError(f"no answer after {_HANDSHAKE_SECONDS:g} s") from None
        text += data
        refusals = [line[3:].decode() for line in text.splitlines() if line.startswith(b"no ")]
        if refusals or not data:
            raise SandboxError(refusals[0] if refusals else "its helper died")
    ours.settimeout(None)
    return next(int(line[4:]) for line in text.splitlines() if line.startswith(b"pid "))


def _help(
    keeper: int,
    wanted: dict[str, Any],
    theirs: socket.socket,
    serve: Callable[[socket.socket], NoReturn],
) -> NoReturn:
    processes.die_with_parent(keeper, signal.SIGKILL)
    processes.reset_signals()
    processes.close_all_but({theirs.fileno()})
    if wanted.get("group"):
        processes.join_group(wanted["group"])
    _unshare(wanted["parts"])
    # Without it the pid, written after init's "ok", might arrive too late for the handshake.
    go_reader, go_writer = os.pipe()
    init = os.fork()
    if init == 0:
        os.close(go_writer)
        os.read(go_reader, 1)
        os.close(go_reader)
        try:
            _serve_as_init(wanted, theirs, serve)
        except BaseException as error:
            theirs.sendall(f"no {error}\n".encode())
        finally:
            os._exit(1)
    theirs.sendall(f"pid {init}\n".encode())
    os.close(go_reader)
    os.close(go_writer)
    theirs.close()
    os.waitpid(init, 0)
    os._exit(0)


def _unshare(parts: Sequence[str]) -> None:
    flags = _CLONE_NEWPID | _CLONE_NEWNS | _CLONE_NEWIPC
    flags |= _CLONE_NEWNET if "network" in parts else 0
    user, group = os.getuid(), os.getgid()
    if user == 0:
        _call("unshare", flags)
        return
    _call("unshare", flags | _CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _serve_as_init(
    wanted: dict[str, Any], theirs: socket.socket, serve: Callable[[socket.socket], NoReturn]
) -> NoReturn:
    processes.request_death_signal(signal.SIGKILL)
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    _mount("proc", "/proc", "proc", _MS_NOSUID_NODEV_NOEXEC)
    for path in (*wanted["protected"], *filter(None, [wanted.get("group")])):
        _make_read_only(path)
    if "tmp" in wanted["parts"]:
        _mount_own_tmp(wanted["tmp"], wanted["kept"])
    if "network" in wanted["parts"]:
        _bring_loopback_up()
    theirs.sendall(b"ok\n")
    serve(theirs)


def _make_read_only(path: str) -> None:
    _mount(path, path, None, _MS_BIND | _MS_REC)
    state = os.statvfs(path)
    kept = state.f_flag & _KEPT_FLAGS | (_MS_RELATIME if state.f_flag & os.ST_RELATIME else 0)
    _mount("none", path, None, _MS_BIND | _MS_REMOUNT | _MS_RDONLY | kept)


def _mount_own_tmp(own: str, kept: Sequence[str]) -> None:
    """Put an empty folder over /tmp, and in it, at their places, only what the attempt needs."""
    opened = [(path, os.open(path, os.O_PATH), Path(path).is_dir()) for path in kept]
    _mount(own, _TMP, None, _MS_BIND | _MS_REC)
    for path, fd, is_folder in opened:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if is_folder:
            Path(path).mkdir(exist_ok=True)
        else:
            Path(path).touch()
        _mount(f"/proc/self/fd/{fd}", path, None, _MS_BIND | _MS_REC)
        os.close(fd)


def _bring_loopback_up() -> None:
    """Set the flags UP and RUNNING of `lo`, which a new network namespace has, but down."""
    get_flags, set_flags, up_and_running = 0x8913, 0x8914, 0x41
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh22x", b"lo", 0)
        answer = fcntl.ioctl(any_socket, get_flags, request)
        (flags,) = struct.unpack("16xh22x", answer)
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh22x", b"lo", flags | up_and_running))


def _mount(source: str, target: str, kind: str | None, flags: int) -> None:
    _call(
        "mount",
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        None,
        what=f"mount {target}",
    )


def _call(function: str, *arguments: Any, what: str = "") -> None:
    if getattr(_libc, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise SandboxError(f"{what or function}: {os.strerror(number)}")

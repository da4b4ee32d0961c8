"""The keeper: replaced when it dies, recycled when it has served, gone with its supervisor."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.attempt.keeper import KeeperHandle, KeeperLost
from harness.attempt.settings import SupervisorSettings
from harness.attempt.spec import AttemptRecord, AttemptSpec, Isolation
from harness.attempt.start_up import StartUp
from harness.attempt.supervise import Supervisor
from harness.core.events import Event

SERVED = 4
OUTCOMES = Path(__file__).parent.parent / "outcomes"
MakeSpec = Callable[..., AttemptSpec]


def supervise(
    isolation: Isolation,
    preload: tuple[str, ...] = ("pytest",),
    cwd: Path = OUTCOMES,
    python: str = sys.executable,
) -> Supervisor:
    return Supervisor(
        SupervisorSettings(
            python=python, isolation=isolation, cwd=cwd, preload=preload, attempts_per_zygote=SERVED
        )
    )


@pytest.fixture
def supervisor(isolation: Isolation) -> Iterator[Supervisor]:
    made = supervise(isolation)
    yield made
    made.close()


@pytest.fixture
def forking() -> Iterator[Supervisor]:
    made = supervise("fork")
    yield made
    made.close()


def ignore(rank: int, event: Event) -> None:
    pass


def at_test_start(action: Callable[[int], None]) -> Callable[[int, Event], None]:
    """Calls `action` with rank 0's pid once its first test starts."""
    pids: list[int] = []

    def on_event(_: int, event: Event) -> None:
        if event["event"] == "hello":
            pids.append(event["pid"])
        if event["event"] == "test_start":
            action(pids[0])

    return on_event


def parent_of(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])


def wait_until_gone(pid: int, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.02)
    return False


def passed(record: AttemptRecord) -> bool:
    return record.error is None and record.exits[0].code == 0


def test_a_keeper_killed_in_an_attempt_is_infrastructure_and_replaced(
    supervisor: Supervisor, make_spec: MakeSpec, isolation: Isolation
) -> None:
    killed: list[int] = []

    def kill_keeper(rank: int) -> None:
        killed.append(rank)
        os.kill(parent_of(rank), signal.SIGKILL)

    spec = make_spec("hangs.py::test_sleeps", isolation=isolation)
    record = supervisor.run(spec, at_test_start(kill_keeper))
    assert record.error is not None and "died" in record.error
    assert wait_until_gone(killed[0])
    after = supervisor.run(make_spec("passes.py", isolation=isolation), ignore)
    assert passed(after) and after.keeper_id != record.keeper_id


def test_what_left_the_group_of_a_dead_keepers_rank_is_found_by_its_attempt(
    forking: Supervisor, make_spec: MakeSpec
) -> None:
    def kill_keeper(rank: int) -> None:
        log = make_spec().folder / "rank0.log"
        while "waiting" not in log.read_text():
            time.sleep(0.02)
        os.kill(parent_of(rank), signal.SIGKILL)

    def kill_later(rank: int) -> None:
        # The callback's thread is the one that writes the log.
        threading.Thread(target=kill_keeper, args=(rank,), daemon=True).start()

    spec = make_spec("leaves_child.py::test_leaves_a_grandchild_and_waits")
    record = forking.run(spec, at_test_start(kill_later))
    mark = f"HARNESS_ATTEMPT_ID={spec.attempt_id}".encode()
    assert record.error
    for process in Path("/proc").glob("[0-9]*"):
        if process.name != str(os.getpid()) and mark in _environ(process):
            assert wait_until_gone(int(process.name))


def _environ(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""


def test_cancelling_kills_the_attempt_in_flight_and_only_that(
    supervisor: Supervisor, make_spec: MakeSpec, isolation: Isolation
) -> None:
    supervisor.cancel()  # none in flight: nothing happens, now or later
    pids: list[int] = []

    def cancel(rank: int) -> None:
        pids.append(rank)
        threading.Timer(0.05, supervisor.cancel).start()

    spec = make_spec("hangs.py", isolation=isolation)
    record = supervisor.run(spec, at_test_start(cancel))
    assert record.error == "cancelled" and record.killed == [0] and not record.timed_out
    assert wait_until_gone(pids[0]) and record.wall_seconds < 10.0
    assert passed(supervisor.run(make_spec("passes.py", isolation=isolation), ignore))


def test_a_callback_that_raises_leaves_no_process(
    supervisor: Supervisor, make_spec: MakeSpec, isolation: Isolation
) -> None:
    pids: list[int] = []

    def fail(rank: int) -> None:
        pids.append(rank)
        raise LookupError("driver's own trouble")

    with pytest.raises(LookupError):
        supervisor.run(make_spec("hangs.py", isolation=isolation), at_test_start(fail))
    assert wait_until_gone(pids[0])


def test_a_supervisors_death_takes_all_its_processes_along(
    make_spec: MakeSpec, isolation: Isolation, tmp_path: Path
) -> None:
    code = f"""
import sys
from pathlib import Path, PosixPath
from harness.attempt.spec import AttemptSpec, SuiteCommands
from harness.core.limits import Limits
from harness.attempt.settings import SupervisorSettings
from harness.attempt.supervise import Supervisor
spec = {make_spec("leaves_child.py::test_leaves_a_grandchild_and_waits", isolation=isolation)!r}
supervisor = Supervisor(SupervisorSettings(
    python=sys.executable, isolation={isolation!r}, cwd=spec.cwd, preload=("pytest",)))
supervisor.run(spec, lambda rank, event: None)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], start_new_session=True
    )
    log = tmp_path / "attempt" / "rank0.log"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not (log.exists() and "waiting" in log.read_text()):
        time.sleep(0.05)
    below = _below(process.pid)
    process.kill()
    process.wait()
    assert len(below) == 3, "keeper, rank and the child that left its group"
    assert all(wait_until_gone(pid) for pid in below)


def _below(root: int) -> list[int]:
    found = [root]
    for pid in found:
        found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return found[1:]


def test_a_zygote_is_recycled_and_the_attempts_name_theirs(
    forking: Supervisor, make_spec: MakeSpec
) -> None:
    spec = make_spec("passes.py::test_one")
    ids = [forking.run(spec, ignore).keeper_id for _ in range(SERVED + 2)]
    assert len(set(ids[:SERVED])) == 1
    assert len(set(ids)) == 2 and ids[-1] == ids[-2] != ids[0]


def test_twenty_attempts_leak_no_descriptor_and_no_process(
    forking: Supervisor, make_spec: MakeSpec
) -> None:
    spec = make_spec("passes.py::test_one", tp=2, follower="followers:greets")
    counts = []
    for _ in range(20):
        assert forking.run(spec, ignore).error is None
        counts.append(len(list(Path("/proc/self/fd").iterdir())))
    # The prepared keeper's socket comes and goes.
    assert max(counts) - counts[0] <= 1, counts


def test_an_interpreter_that_does_not_start_is_infrastructure(make_spec: MakeSpec) -> None:
    for python in ("/no/such/python", "/bin/false"):
        supervisor = supervise("spawn", (), python=python)
        record = supervisor.run(make_spec(isolation="spawn", python=python), ignore)
        assert record.error is not None and not record.events
        supervisor.close()


def test_a_spec_for_another_interpreter_or_isolation_is_refused(
    forking: Supervisor, make_spec: MakeSpec
) -> None:
    with pytest.raises(ValueError, match="serves fork"):
        forking.run(make_spec("passes.py", isolation="spawn"), ignore)


def test_a_module_that_cannot_be_preloaded_is_the_suites_affair(make_spec: MakeSpec) -> None:
    supervisor = supervise("fork", ("pytest", "no_such_module"))
    assert passed(supervisor.run(make_spec("passes.py"), ignore))
    supervisor.close()


def test_waiting_for_a_keeper_has_an_end(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(600)\n")
    start_up = StartUp(sys.executable, ())
    keeper = KeeperHandle.start(start_up, tmp_path, ("slow",), hash_seed="0")
    with pytest.raises(KeeperLost, match="not ready"):
        keeper.wait_ready(0.5)
    keeper.close()
    assert wait_until_gone(keeper.pid)

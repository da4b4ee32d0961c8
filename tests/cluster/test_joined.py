"""A cluster that others use too: two raylets on one machine, with a token."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.local_cluster import LocalCluster
from tests.cluster.running import RunningHarness
from tests.cluster.test_faults import SUITE

HOLDER = """
import sys, time
import ray
ray.init(address=sys.argv[1], log_to_driver=False)

@ray.remote(num_cpus=1)
class Holder:
    def hold(self):
        return True

holders = [Holder.remote() for _ in range(int(sys.argv[2]))]
ray.get([holder.hold.remote() for holder in holders])
print("held", flush=True)
time.sleep(300)
"""


#: A folder of the cluster's that its second node lacks.
ABSENT = "absent"
CAN_HIDE = os.geteuid() == 0 and not subprocess.run(["unshare", "--mount", "true"]).returncode


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with LocalCluster(folder) as cluster:
        (folder / ABSENT).mkdir()
        cluster.add_node(folder / ABSENT if CAN_HIDE else None)
        yield cluster


def join(folder: Path, cluster: LocalCluster, *more: object) -> RunningHarness:
    (folder / "test_short.py").write_text(SUITE)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p no:hypothesispytest\n")
    arguments = ["test_short.py", "--order", "ascending", "--timeout", 20, *more]
    return RunningHarness(folder, [*arguments, "--address", cluster.address], cluster.environment())


@pytest.fixture
def held(cluster: LocalCluster, request: pytest.FixtureRequest) -> Iterator[int]:
    """So many CPUs of the cluster's four, in the hands of another job."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **cluster.environment()}
    command = [sys.executable, "-c", HOLDER, cluster.address, str(request.param)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        yield request.param
        holder.kill()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("held", [1], indirect=True)
def test_the_cpus_that_another_job_leaves_are_used(
    tmp_path: Path, cluster: LocalCluster, held: int
) -> None:
    with join(tmp_path, cluster, "--tp", 1, "--slots", 2, "--repeats", 9) as run:
        cell = run.finish()["cells"][0]
        assert cell["passed"] == 9
        assert f"on {4 - held} CPU slots" in run.err.read_text()
        logs = list(tmp_path.glob(".harness/runs/*/*/rank0.log"))
        assert len(logs) == 9, "logs of both nodes' attempts"


@pytest.mark.timeout(240)
@pytest.mark.parametrize("held", [3], indirect=True)
def test_a_cluster_with_too_few_free_devices_for_a_gang_is_named_with_who_holds_them(
    tmp_path: Path, cluster: LocalCluster, held: int
) -> None:
    assert held == 3
    with join(tmp_path, cluster, "--tp", 2, "--slots", 2, "--repeats", 2) as run:
        assert run.process.wait(200) == 5, run.err.read_text()  # it waits 20 s for them
        assert "pid" in run.err.read_text()


@pytest.mark.timeout(120)
def test_a_wrong_token_says_what_to_set(tmp_path: Path, cluster: LocalCluster) -> None:
    (tmp_path / "test_short.py").write_text(SUITE)
    wrong = cluster.environment() | {"RAY_AUTH_TOKEN": "0" * 64}
    arguments = ["test_short.py", "--tp", 1, "--address", cluster.address]
    with RunningHarness(tmp_path, arguments, wrong) as run:
        assert run.process.wait(90) == 2, run.err.read_text()
        assert "RAY_AUTH_TOKEN" in run.err.read_text().splitlines()[-1]


@pytest.mark.timeout(240)
@pytest.mark.skipif(not CAN_HIDE, reason="no mount namespaces here")
def test_a_node_without_the_suite_is_named_and_the_other_makes_its_attempts(
    cluster: LocalCluster,
) -> None:
    folder = cluster.folder / ABSENT
    with join(folder, cluster, "--tp", 1, "--slots", 2, "--repeats", 8) as run:
        read = run.finish()
        assert read["run"]["status"] == "complete"
        assert (read["cells"][0]["passed"], read["cells"][0]["infra"]) == (8, 0)
        words = run.err.read_text()
        assert "quarantined" in words and "does not exist there" in words


@pytest.mark.timeout(240)
def test_a_node_that_is_lost_costs_its_own_attempts_only(
    tmp_path: Path, cluster: LocalCluster
) -> None:
    """The last test of this module: the second node does not come back."""
    more = ["--tp", 1, "--slots", 2, "--repeats", 24, "--replace-infra", 3]
    with join(tmp_path, cluster, *more) as run:
        run.await_attempts(3)
        cluster.kill_second_node()
        cell = run.finish(150)["cells"][0]
        assert cell["passed"] == 24

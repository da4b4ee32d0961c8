"""`rerun --beside`: a failure that needs company is told from one that does not."""

import pytest

from harness.attempt.spec import AttemptRecord, AttemptSpec
from harness.core.errors import NoDeviceError
from harness.core.exits import ExitCode
from harness.driver.commands.beside import Company, describe_company, make_both

from .fake_pool import FakePool, Script, failing, passing
from .workplace import Open


def make(begin: Open, script: Script, devices: int = 2) -> tuple[Company, Company, FakePool]:
    """Make the first attempt of a run again, three times each way."""
    run = begin(repeats=1)
    assert run.run(FakePool(failing)) == ExitCode.FAILURES
    pool = FakePool(script, devices=devices)
    alone, beside = make_both(run.context, run.rows[0], pool, 3)
    return alone, beside, pool


def test_the_neighbour_has_another_seed_and_the_attempt_its_own(begin: Open) -> None:
    alone, beside, pool = make(begin, passing)
    assert (alone, beside) == (Company(0, 3), Company(0, 3))
    assert len(pool.specs) == 9
    assert len({spec.attempt_id for spec in pool.specs}) == 9
    assert len({spec.seed for spec in pool.specs}) == 2


def test_a_failure_that_needs_company_is_found_and_hinted_at(begin: Open) -> None:
    def script(spec: AttemptSpec) -> AttemptRecord:
        return (failing if ".beside" in spec.attempt_id else passing)(spec)

    alone, beside, _ = make(begin, script)
    assert (alone, beside) == (Company(0, 3), Company(3, 3))
    told = describe_company(Company(0, 6), Company(6, 6))
    assert "fails only beside another attempt" in told and "a fixed port" in told


@pytest.mark.parametrize(
    ("alone", "beside"), [(Company(3, 3), Company(3, 3)), (Company(0, 3), Company(1, 3))]
)
def test_equal_or_few_failures_are_not_told_apart(alone: Company, beside: Company) -> None:
    assert "not told apart" in describe_company(alone, beside)


def test_what_infrastructure_ended_is_not_counted(begin: Open) -> None:
    alone, beside, _ = make(begin, lambda _: "node lost")
    assert (alone.made, beside.made) == (0, 0)
    assert "nothing can be said" in describe_company(alone, beside)


def test_one_device_is_too_few(begin: Open) -> None:
    with pytest.raises(NoDeviceError, match="2 x 1 free devices"):
        make(begin, passing, devices=1)

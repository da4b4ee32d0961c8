"""A store that fails during a run: results are kept, said, stored later, and reported."""

import pytest

from harness.attempt.spec import AttemptRecord, AttemptSpec
from harness.core.errors import StoreError
from harness.core.exits import ExitCode
from harness.driver.ledger import JOURNAL, import_journal
from harness.store.store import Store

from .fake_pool import FakePool, passing
from .workplace import Open, read_run_json_file


def test_a_store_deleted_during_a_run_ends_with_table_json_and_exit_6(
    begin: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    run = begin()

    def script(spec: AttemptSpec) -> AttemptRecord | str:
        if spec.attempt_id == "r.2":
            run.path.unlink()
        return passing(spec)

    assert run.run(FakePool(script)) == ExitCode.STORE
    assert read_run_json_file(run).cells[0].passed == 4
    assert (run.context.folder / JOURNAL).read_text().count("\n") == 2
    assert "0/4" in capsys.readouterr().out


def test_what_a_failing_store_did_not_take_is_stored_once_it_works_again(
    begin: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin()
    monkeypatch.setattr("harness.driver.ledger.RETRY_S", 0.0)
    add_rows, failures = Store.add_rows, [1, 1]

    def fail_twice(store: Store, rows: object) -> None:
        if failures:
            failures.pop()
            raise StoreError("database is locked")
        add_rows(store, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "add_rows", fail_twice)
    assert run.run(FakePool(passing)) == ExitCode.OK
    assert len(run.rows) == 4
    assert not (run.context.folder / JOURNAL).exists()


def test_a_journal_that_was_left_is_brought_in_by_the_next_driver(
    begin: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin()
    add_rows = Store.add_rows

    def fail_on_disk(store: Store, rows: object) -> None:
        if store is run.store:
            raise StoreError("disk I/O error")
        add_rows(store, rows)  # type: ignore[arg-type]

    with monkeypatch.context() as broken:
        broken.setattr(Store, "add_rows", fail_on_disk)
        assert run.run(FakePool(passing)) == ExitCode.STORE
    with (run.context.folder / JOURNAL).open("a") as journal:
        journal.write('{"attempt": {"id": "r.9"')  # a driver was killed while it wrote
    assert import_journal(run.store, "r", run.context.folder) == 4
    assert len(run.rows) == 4
    assert import_journal(run.store, "r", run.context.folder) == 0

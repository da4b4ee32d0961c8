"""Rules of other engines: every example of the data is a test, and so are others' mistakes."""

import dataclasses

import pytest

from harness.core.engine_rules import (
    EngineRule,
    match_engine_rules,
    read_engine_rules,
    refine_failure,
)
from harness.core.kinds import Kind, KindScope, Phase
from harness.core.result import Failure

RULES = {f"{rule.engine}: {rule.name}": rule for rule in read_engine_rules()}
GPU = KindScope()
CPU = KindScope(graphs=False, collectives=False)
TEST = "test_eagle.py::TestBasic::test_gsm8k"


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_means_its_examples_and_not_the_others(rule: EngineRule) -> None:
    assert rule.examples and rule.others
    assert [line for line in rule.examples if not rule.matches([line], TEST)] == []
    assert [line for line in rule.others if rule.matches([line], TEST)] == []


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_each_example_is_named_by_its_own_rule(rule: EngineRule) -> None:
    for line in rule.examples:
        found = match_engine_rules(line, GPU, TEST)
        assert found is not None and found.kind is rule.kind, line


#: A runner that looks for words in the whole log, whatever their case, takes these for memory, for
#: accuracy or for infrastructure.
MISTAKEN = [
    "the chat room has 4 members",
    "loading bigscience/bloom-560m",
    "INFO: throughput 120 tokens/s, score 0.9, latency 3 ms",
    "Timeout of keep-alive connections: 5 s",
    "class MyRuntimeErrorHandler:",
]


@pytest.mark.parametrize("line", MISTAKEN)
def test_words_that_whole_log_matching_mistakes_mean_nothing(line: str) -> None:
    assert match_engine_rules(line, GPU, TEST) is None


def test_an_illegal_access_stays_one_beside_a_score() -> None:
    text = (
        "score: 0.1\ntorch.AcceleratorError: CUDA error: an illegal memory access was encountered"
    )
    found = match_engine_rules(text, GPU, TEST)
    assert found is not None and found.kind is Kind.ILLEGAL_ACCESS


def test_a_cause_wins_over_its_consequences() -> None:
    text = (
        "Received sigquit from a child process. It usually means the child failed.\n"
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n"
        "Exception: Server process exited with code -9"
    )
    found = match_engine_rules(text, GPU)
    assert found is not None and found.kind is Kind.OUT_OF_MEMORY


def test_memory_that_runs_out_during_capture_has_that_phase() -> None:
    text = "Exception: Capture cuda graph failed: CUDA out of memory. Tried to allocate 2 GiB"
    found = match_engine_rules(text, GPU)
    assert found is not None and (found.kind, found.phase) == (Kind.OUT_OF_MEMORY, Phase.CAPTURE)


def test_cuda_rules_hold_only_where_cuda_ran() -> None:
    assert match_engine_rules("torch.OutOfMemoryError: CUDA out of memory.", CPU) is None


def make(kind: Kind, message: str, test: str = "t.py::test_it") -> Failure:
    return Failure(kind, Phase.RUN, "signature", message, test)


def test_an_engine_that_killed_its_own_tree_is_named_by_its_cause() -> None:
    cause = "RuntimeError: FusedAddRMSNorm failed with error code operation not supported"
    named = refine_failure(make(Kind.SIGNAL, f"rank 0 ended by SIGKILL\n{cause}"), GPU)
    assert named.kind is Kind.CUDA_ERROR
    assert "CUDA: CUDA error" in named.message and cause in named.message


def test_a_crash_of_the_process_itself_stays_a_signal() -> None:
    failure = make(Kind.SIGNAL, "rank 0 ended by SIGSEGV\nOSError: [Errno 98] Address in use")
    assert refine_failure(failure, GPU) == failure


def test_a_server_that_did_not_start_is_a_setup_error_with_a_name() -> None:
    failure = make(Kind.ERROR, "Server failed to start within the timeout period.")
    named = refine_failure(failure, CPU)
    assert (named.kind, named.phase) == (Kind.SETUP_ERROR, Phase.SETUP)
    assert "sglang: server did not start" in named.message


def test_a_stronger_kind_of_its_own_stays() -> None:
    failure = dataclasses.replace(make(Kind.OUT_OF_MEMORY, "x"), message="[Errno 98]")
    assert refine_failure(failure, GPU) == failure

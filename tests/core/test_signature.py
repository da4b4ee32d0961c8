"""Failures that a person would call the same have one signature, and others do not."""

import pytest

from harness.core.signature import make_cluster_id, normalise

SAME = [
    (
        "RuntimeError: CUDA error at 0x7f3a10c00000, pid 8123",
        "RuntimeError: CUDA error at 0x7f91b4200000, pid 99",
    ),
    (
        "FileNotFoundError: [Errno 2] No such file: '/tmp/pytest-of-root/pytest-3/x0/a.bin'",
        "FileNotFoundError: [Errno 2] No such file: '/tmp/pytest-of-ci/pytest-118/x0/a.bin'",
    ),
    (
        "FileNotFoundError: [Errno 2] No such file or directory: '/tmp/tmp7x_k2.json'",
        "FileNotFoundError: [Errno 2] No such file or directory: '/tmp/tmpq0bd9w.json'",
    ),
    (
        "[rank0]: torch.distributed.DistBackendError: NCCL error in: /pytorch/a.cpp:312, unhandled",
        "[rank3]: torch.distributed.DistBackendError: NCCL error in: /build/a.cpp:330, unhandled",
    ),
    (
        "AssertionError: Tensor-likes are not close! Mismatched elements: 3 / 4096 (0.1%)",
        "AssertionError: Tensor-likes are not close! Mismatched elements: 1207 / 4096 (29.5%)",
    ),
    (
        "AssertionError: assert tensor(0.1234) < 1e-05",
        "AssertionError: assert tensor(-7.5e-03) < 1e-05",
    ),
    (
        "AssertionError: assert tensor([1.0, 2.5], device='cuda:0') == tensor([1.0, 2.0])",
        "AssertionError: assert tensor([0.0, 9.5], device='cuda:1') == tensor([4.0, 2.0])",
    ),
    (
        "torch.OutOfMemoryError: Tried to allocate 2.00 GiB. GPU 0 has 79.11 GiB",
        "torch.OutOfMemoryError: Tried to allocate 512.00 MiB. GPU 1 has 139.8 GiB",
    ),
    (
        "ConnectionRefusedError: [Errno 111] Connect call failed ('127.0.0.1', 43121)",
        "ConnectionRefusedError: [Errno 111] Connect call failed ('127.0.0.1', 8000)",
    ),
    (
        "<Request object at 0x7f3a> was dropped, seed=1529734279",
        "<Request object at 0x55d1> was dropped, seed=3",
    ),
    ("ValueError: step 3 of run 1f2e3d4c5b6a7988", "ValueError: step 14 of run aa90bb12cc34dd56"),
    (
        "request 6f9619ff-8b86-d011-b42d-00c04fc964ff failed",
        "request 00000000-1111-2222-3333-444455556666 failed",
    ),
    ("2026-11-25 04:01:07,123 ERROR engine died", "2026-01-02 23:59:59,001 ERROR engine died"),
    ("(EngineCore pid=4711) RuntimeError: lost", "(EngineCore pid=12) RuntimeError: lost"),
    ("\x1b[31mRuntimeError: lost\x1b[0m", "RuntimeError: lost"),
    (
        "kernel.cu:16: block: [318,0,0], thread: [0,0,0]",
        "kernel.cu:99: block: [2,0,0], thread: [31,0,0]",
    ),
    ("hang in step on rank 1", "hang in step on rank 7"),
    ("got [3, 17, 5] tokens", "got [9, 2, 44] tokens"),
    ("ERROR 11-25 04:01:07 [core.py:12] x", "ERROR 11-25 04:01:09 [core.py:12] x"),
    ("worker-3 died", "worker-12 died"),
    ("error 3 in layer4.weight", "error 17 in layer11.weight"),
    ("OSError: '/home/a/.cache/x1/kernel.so'", "OSError: '/home/b/.cache/y22/kernel.so'"),
    (
        "RuntimeError: lost /tmp/harness-x7/r0/rendezvous",
        "RuntimeError: lost /tmp/harness-q/r1/rdv",
    ),
    ("Thread-7 (serve) raised", "Thread-31 (serve) raised"),
    ("bytes b'\\x00\\xff' at offset 10", "bytes b'\\x00\\xff' at offset 99"),
]

DIFFERENT = [
    ("AssertionError: assert nan < 0.5", "AssertionError: assert 0.75 < 0.5"),
    ("Assertion `a` failed in /src/Index.cu:16", "Assertion `a` failed in /src/Gather.cu:16"),
    ("[Errno 28] cannot be written", "[Errno 13] cannot be written"),
    (
        "RuntimeError: CUDA error: an illegal memory access",
        "RuntimeError: CUDA error: misaligned address",
    ),
    ("NCCL error: unhandled system error", "NCCL error: unhandled cuda error"),
    ("AssertionError: wrong tokens for request", "AssertionError: wrong logits for request"),
    ("SIGKILL @ test_a", "SIGSEGV @ test_a"),
    ("SIGSEGV @ test_draft", "SIGSEGV @ test_target"),
    ("KeyError: 'block_table'", "KeyError: 'slot_mapping'"),
    ("KeyError: 'k_cache'", "KeyError: 'v_cache'"),
    ("assert a == b", "assert a != b"),
    ("head_dim is not supported by FA2", "head_dim is not supported by FA3"),
    ("no kernel for bf16", "no kernel for fp8"),
    ("CUBLAS_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_NOT_INITIALIZED"),
    ("expected dtype float16", "expected dtype float32"),
    ("exit 1 @ test_a", "exit 134 @ test_a"),
    ("HTTP 404 from the server", "HTTP 503 from the server"),
    ("ModuleNotFoundError: No module named 'a.b'", "ModuleNotFoundError: No module named 'a.c'"),
    (
        "FileNotFoundError: '/etc/model/config.json'",
        "FileNotFoundError: '/etc/model/tokenizer.json'",
    ),
    ("cudaErrorIllegalAddress (error 700)", "cudaErrorAssert (error 710)"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_failure_has_one_signature(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_failures_keep_their_own(one: str, other: str) -> None:
    assert make_cluster_id(one) != make_cluster_id(other)


@pytest.mark.parametrize("text", [text for pair in SAME + DIFFERENT for text in pair])
def test_a_signature_of_a_signature_is_itself(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)

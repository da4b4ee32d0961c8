"""A suite whose engine captures in a process of its own, as servers do."""

import multiprocessing


def start_engine() -> None:
    from sglang.srt.model_executor.cuda_graph_runner import capture_all

    capture_all()


def test_the_engine_starts() -> None:
    process = multiprocessing.get_context("spawn").Process(target=start_engine)
    process.start()
    process.join()
    assert process.exitcode == 0

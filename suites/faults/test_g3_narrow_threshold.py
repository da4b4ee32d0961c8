"""G3: a threshold inside the noise of what it judges.

Mechanism (sglang#24896: limit 0.002, observed 0.0026 to 0.0113 on the change and on main alike;
vLLM#22922): the accuracy of a small drawn sample is compared with the mean of all. Nothing is wrong
with the engine, whatever is varied.
"""

import contextlib

import problems
from faults.case import FaultCase

truth = dict(
    fault="G3",
    kind="assertion",
    factor="",
    loud=True,
    mechanism="narrow-threshold",
    amplifier="",
)
axes = dict(order=["ascending", "descending"], graphs=["true", "false"])

#: Requests looked at, and the mean length of answers to all problems, in tokens.
SAMPLE, MEAN_LENGTH = 4, 19.0


class TestNarrowThreshold(FaultCase):
    """The mean over a few drawn requests is asked to be that of all."""

    engine_args = dict(
        model="suites/models/arith/target",
        backend="torch_native",
        speculative=False,
        cuda_graph_bs=[1, 2, 4],
        max_running=4,
        max_context=32,
        prefix_cache=False,
    )
    pinned = ("backend", "speculative")

    @classmethod
    def plant(cls) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def test_answers_are_as_long_as_on_average(self) -> None:
        drawn = problems.draw(SAMPLE, "sample")
        answers = self.engine.generate([p.prompt for p in drawn], problems.ANSWER_TOKENS)
        mean = sum(len(answer.tokens) for answer in answers) / SAMPLE
        self.assertGreaterEqual(mean, MEAN_LENGTH, "answers are shorter than they should be")

"""The clean control: nothing is wrong here, and a run must find nothing."""

from faults.control import ParityControl


class TestCleanControl(ParityControl):
    """The positive control without its fault."""

    engine_args = dict(
        model="suites/models/arith/target",
        draft_model="suites/models/arith/draft",
        cuda_graph_bs=[1, 2, 4],
        max_running=4,
        max_context=48,
    )

    @classmethod
    def setUpClass(cls) -> None:
        cls.build(cls.engine_args)

    def test_answers_are_the_references(self) -> None:
        self.check_parity()

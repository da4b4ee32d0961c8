"""One rank's share of an engine that runs: executes commands until it is closed."""

from typing import TypeVar

import torch

from harness.engine.capture.runner import GraphRunner
from harness.engine.distributed.tensor_parallel import TensorParallel
from harness.engine.model.shape import ModelConfig
from harness.engine.serving.commands import Command
from harness.engine.serving.replay_probe import ReplayProbe
from harness.engine.serving.results import Footprint
from harness.engine.serving.steps import Operations
from harness.rank import wire

R = TypeVar("R")


class RunningWorker:
    """Made by `LoadedWorker.start`."""

    def __init__(
        self,
        model: ModelConfig,
        runner: GraphRunner,
        probe: ReplayProbe,
        footprint: Footprint,
        operations: Operations,
        group: TensorParallel,
    ) -> None:
        self.model = model
        self.runner = runner
        self.probe = probe
        self.footprint = footprint
        self._operations = operations
        self._group = group
        self._has_failed = False

    @torch.inference_mode()
    def execute(self, command: Command[R]) -> R:
        """Run one command. Its result is valid until the next command."""
        try:
            result: R = self._operations[type(command)](command)
        except BaseException:
            # Other ranks may wait in a collective for this one: nobody may use the group again.
            self._has_failed = True
            raise
        return result

    def close(self) -> None:
        """Free the graphs, then leave the group: graphs hold its collectives."""
        wire.emit("phase", name="teardown")
        self._operations = {}
        self.runner.close()
        if self._has_failed:
            self._group.close()
        else:
            self._group.leave()

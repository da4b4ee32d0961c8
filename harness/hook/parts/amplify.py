"""Begins the amplifiers that its argument names, joined by `+`: `amplify:poison+delay`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..amplify.cuda_memory import CudaBlocks
from ..amplify.cuda_streams import Compete, Delay
from ..amplify.recorded_memory import RecordedBlocks
from ..amplify.timing import Align, Jitter
from ..audit.findings import Finding

if TYPE_CHECKING:
    from ..channel import Channel
    from ..events import Capture

Report = Callable[[Finding], None]

#: Name -> the amplifier of CUDA graphs, and of recorded graphs; None where there is none.
AMPLIFIERS: dict[str, tuple[Callable[[Report], Any], Callable[[Report], Any] | None]] = {
    "poison": (
        lambda report: CudaBlocks(report, check=False),
        lambda report: RecordedBlocks(report, check=False),
    ),
    "canary": (
        lambda report: CudaBlocks(report, check=True),
        lambda report: RecordedBlocks(report, check=True),
    ),
    "delay": (lambda _: Delay(), None),
    "compete": (lambda _: Compete(), None),
    "align": (lambda _: Align(), lambda _: Align()),
    "jitter": (lambda _: Jitter(), lambda _: Jitter()),
}
_MOST_FINDINGS = 50


class Amplify:
    """The amplifiers of one process, made when the first graph of a kind is captured."""

    def __init__(self, names: list[str], channel: "Channel") -> None:
        self._names = names
        self._channel = channel
        self._made: dict[str, list[Any]] = {}
        self._found = 0

    def before_capture(self, capture: "Capture") -> None:
        """Called just before capture begins."""
        if capture.kind not in self._made:
            self._made[capture.kind] = self._make(capture.kind)
        self._call("before_capture", capture)

    def after_capture(self, capture: "Capture") -> None:
        """Called when the graph exists, or does not."""
        self._call("after_capture", capture)

    def before_replay(self, capture: "Capture") -> None:
        """Called before each launch, after every other part."""
        self._call("before_replay", capture)

    def after_replay(self, capture: "Capture") -> None:
        """Called after each launch."""
        self._call("after_replay", capture)

    def _make(self, kind: str) -> list[Any]:
        makers = {name: AMPLIFIERS[name][kind == "recorded"] for name in self._names}
        for name in [name for name, maker in makers.items() if maker is None]:
            self._channel.emit("note", text=f"amplifier {name} does nothing to {kind} graphs")
        return [maker(self._report) for maker in makers.values() if maker is not None]

    def _call(self, method: str, capture: "Capture") -> None:
        for amplifier in self._made.get(capture.kind, ()):
            handler = getattr(amplifier, method, None)
            if handler is not None:
                handler(capture)

    def _report(self, finding: Finding) -> None:
        self._found += 1
        if self._found <= _MOST_FINDINGS:
            self._channel.emit("audit", **finding.describe())


def make_part(argument: str, channel: "Channel") -> Amplify:
    """Return the part. Raises ValueError for an amplifier that does not exist."""
    names = argument.split("+")
    for name in names:
        if name not in AMPLIFIERS:
            raise ValueError(f"amplifier {name!r}: choose from {', '.join(AMPLIFIERS)}")
    return Amplify(names, channel)

"""The options of `harness run`, each declared once: default, help, group and stored form."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from harness.core.amplifiers import AMPLIFIERS, AMPLIFY_AXIS, join_amplifiers
from harness.core.cell import ENV_PREFIX, Axis, make_axis, parse_axis
from harness.core.decision_rule import Alternative
from harness.core.engine_arguments import AXES
from harness.core.errors import UsageError
from harness.core.plan import EXPECTED_RATES, check_repeats
from harness.core.suite_setup import SuiteSetup, setup_from_dict
from harness.driver.declarations import declare, restore
from harness.driver.hooking import check_patches
from harness.driver.option_values import (
    check_limits,
    check_revisions,
    check_sandbox,
    upgrade_options,
)
from harness.hook.registry import ORDER_PARTS
from harness.stats.power import check_pair

DEFAULT_SUITE = "suites/test_eagle_infer_b.py"

MEASURE = "What is measured"
QUESTION = "What is asked"
ATTEMPTS = "How attempts are made"
MACHINE = "Where it runs"

#: Options that give one axis each.
_AXES = ("order", "backend", "prefill_backend", "decode_backend", "draft_backend", "tp", "caches")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of one run, as given; the plan adds the defaults that need the machine."""

    suites: tuple[str, ...] = declare(
        (), metavar="SUITE", help="FILE, FILE::Class or FILE::Class::test.", group=MEASURE
    )
    repeats: int = declare(
        50, "--repeats", metavar="N", help="Attempts planned per cell.", group=MEASURE
    )
    order: tuple[str, ...] = declare(
        (), "--order", metavar="A,B", listed=True, group=MEASURE,
        help="Capture orders: ascending, descending, shuffled, gate.",
    )  # fmt: skip
    backend: tuple[str, ...] = declare(
        (), "--backend", metavar="A,B", listed=True, group=MEASURE,
        help="Attention backends of all roles (default: all of this machine).",
    )  # fmt: skip
    prefill_backend: tuple[str, ...] = declare(
        (), "--prefill-backend", metavar="A,B", listed=True, group=MEASURE,
        help="Attention backend of prefill (default: --backend).",
    )  # fmt: skip
    decode_backend: tuple[str, ...] = declare(
        (), "--decode-backend", metavar="A,B", listed=True, group=MEASURE,
        help="Attention backend of decode and verify (default: --backend).",
    )  # fmt: skip
    draft_backend: tuple[str, ...] = declare(
        (), "--draft-backend", metavar="A,B", listed=True, group=MEASURE,
        help="Attention backend of the draft head (default: --backend).",
    )  # fmt: skip
    tp: tuple[str, ...] = declare(
        (), "--tp", metavar="1,2", listed=True, group=MEASURE,
        help="Tensor-parallel sizes (default: 2, or 1 if there is one device).",
    )  # fmt: skip
    axis: tuple[str, ...] = declare(
        (),
        "--axis",
        metavar="NAME=A,B",
        group=MEASURE,
        help=f"Vary an engine argument: {', '.join(AXES)}.",
    )
    env: tuple[str, ...] = declare(
        (), "--env", metavar="NAME=A,B", help="Vary an environment variable.", group=MEASURE
    )
    revs: tuple[str, ...] = declare(
        (), "--rev", metavar="A,B", listed=True, group=MEASURE,
        help="Measure these commits; the first is the reference.",
    )  # fmt: skip
    rev_pythons: tuple[str, ...] = declare(
        (), "--rev-python", metavar="PATH,PATH", listed=True, group=MEASURE,
        help="One interpreter per revision (default: the running one).",
    )  # fmt: skip
    suite_args: tuple[str, ...] = declare(
        (), "--suite-arg", metavar="TEXT", group=MEASURE,
        help="Argument of pytest, or of the suite's program; what follows `--` is the same.",
    )  # fmt: skip
    keyword: str | None = declare(
        None, "-k", metavar="EXPR", help="pytest's -k, for every attempt.", group=MEASURE
    )
    seed: int | None = declare(
        None, "--seed", metavar="N", group=MEASURE,
        help="Seed of the run (default: drawn and printed).",
    )  # fmt: skip
    fixed_seed: bool = declare(
        False, "--fixed-seed", help="Give every attempt the run's seed.", group=MEASURE
    )
    until: str | None = declare(
        None, "--until", metavar="decided", group=QUESTION,
        help="Stop as soon as the answer is known; --repeats is then the limit.",
    )  # fmt: skip
    max_flake_rate: float | None = declare(
        None, "--max-flake-rate", metavar="RATE", group=QUESTION,
        help="Fail unless every cell is proven to fail less often than this.",
    )  # fmt: skip
    known_flakes: bool = declare(
        False, "--known-flakes", group=QUESTION,
        help="Fail only for what the configuration's known flakes do not cover.",
    )  # fmt: skip
    base_rate: float = declare(
        EXPECTED_RATES[0], "--base-rate", metavar="RATE", group=QUESTION,
        help="Failure rate that the comparison must be able to detect.",
    )  # fmt: skip
    target_rate: float = declare(
        EXPECTED_RATES[1], "--target-rate", metavar="RATE", group=QUESTION,
        help="Failure rate that it must be distinguished from.",
    )  # fmt: skip
    alternative: str = declare(
        Alternative.TWO_SIDED.value, "--alternative", metavar="two-sided|more|less", group=QUESTION,
        help="With --until decided: expect each value to fail more, or less, than its reference.",
    )  # fmt: skip
    timeout_s: float = declare(
        300.0, "--timeout", metavar="SECONDS", group=ATTEMPTS,
        help="How long an attempt may take.",
    )  # fmt: skip
    isolation: str | None = declare(
        None, "--isolation", metavar="fork|spawn", group=ATTEMPTS,
        help="Spawn ranks, or fork them from a warm zygote (default: fork if that is safe).",
    )  # fmt: skip
    sandbox: tuple[str, ...] = declare(
        (), "--sandbox", metavar="auto|none|required[,network,tmp]", listed=True, group=ATTEMPTS,
        help="Kernel boundary around each attempt (default: auto, if it is possible).",
    )  # fmt: skip
    memory: str | None = declare(
        None, "--memory", metavar="SIZE", group=ATTEMPTS,
        help="Memory that an attempt may use, for example 8G (host memory, not a GPU's).",
    )  # fmt: skip
    max_processes: int | None = declare(
        None, "--max-processes", metavar="N", group=ATTEMPTS,
        help="Processes that an attempt may run at once.",
    )  # fmt: skip
    preload: tuple[str, ...] = declare(
        (), "--preload", metavar="auto|none|A,B", listed=True, group=ATTEMPTS,
        help="Imported before attempts are forked (default: auto, what the first one shows).",
    )  # fmt: skip
    caches: tuple[str, ...] = declare(
        (), "--caches", metavar="shared,fresh,user", listed=True, group=MEASURE,
        help="Compiler caches: the run's (default), each attempt's own, the environment's.",
    )  # fmt: skip
    patches: tuple[str, ...] = declare(
        (), "--patch", metavar="NAME[:VALUE]", listed=True, group=MEASURE,
        help=f"Turn the capture order of engines without such an option: {', '.join(ORDER_PARTS)}.",
    )  # fmt: skip
    no_observe: bool = declare(
        False, "--no-observe", group=ATTEMPTS,
        help="Do not record which graphs the processes of an attempt capture.",
    )  # fmt: skip
    audit: bool = declare(
        False, "--audit", group=MEASURE,
        help="Audit each captured graph before it is replayed: pointers to freed memory.",
    )  # fmt: skip
    amplify: tuple[str, ...] = declare(
        (), "--amplify", metavar="A,B", listed=True, group=MEASURE,
        help=f"Make rare faults frequent, all at once: {', '.join(AMPLIFIERS)}.",
    )  # fmt: skip
    pass_env: tuple[str, ...] = declare(
        (), "--pass-env", metavar="NAME", group=ATTEMPTS, beside_resume=True,
        help="Pass this variable on although it looks like a secret; may be a pattern.",
    )  # fmt: skip
    in_process_reruns: int = declare(
        0, "--in-process-reruns", metavar="N", group=ATTEMPTS,
        help="Rerun failed tests up to N times in the same process, shown beside the rate.",
    )  # fmt: skip
    replace_infra: int = declare(
        0, "--replace-infra", metavar="N", group=ATTEMPTS,
        help="Repeat an attempt that infrastructure ended, up to N times.",
    )  # fmt: skip
    relaunch: int = declare(
        3, "--relaunch", metavar="N", group=ATTEMPTS,
        help="Launch an attempt that was lost before its suite started up to N more times.",
    )  # fmt: skip
    warmup: int = declare(
        0, "--warmup", metavar="N", group=ATTEMPTS,
        help="Make N attempts per cell first, which are shown and never counted.",
    )  # fmt: skip
    device: str = declare(
        "auto", "--device", metavar="auto|cpu|cuda", help="Where to measure.", group=MACHINE
    )
    slots: int | None = declare(
        None, "--slots", metavar="N", group=MACHINE, beside_resume=True,
        help="Slots of a CPU (default: its cores).",
    )  # fmt: skip
    per_gpu: int = declare(
        1, "--per-gpu", metavar="N", group=MACHINE,
        help="Gangs that share each GPU, with equal parts of its memory.",
    )  # fmt: skip
    address: str | None = declare(
        None, "--address", metavar="HOST:PORT|auto", group=MACHINE, beside_resume=True,
        help="Join this Ray cluster (default: a private one).",
    )  # fmt: skip
    configured: Mapping[str, Any] = field(default_factory=dict)
    """The set-ups of suites that the configuration names, in their stored form."""
    flakes: tuple[Mapping[str, Any], ...] = ()
    """The configuration's known flakes, in their stored form."""

    def __post_init__(self) -> None:
        check_repeats(self.repeats)
        if self.slots is not None and self.slots < 1:
            raise UsageError(f"--slots {self.slots}: give at least 1")
        if self.per_gpu < 1:
            raise UsageError(f"--per-gpu {self.per_gpu}: give at least 1")
        if not 0 < self.timeout_s <= 86_400:
            raise UsageError(f"--timeout {self.timeout_s:g}: give seconds from above 0 to 86400")
        if self.isolation not in (None, "spawn", "fork"):
            raise UsageError(f"--isolation {self.isolation!r}: choose from spawn, fork")
        if min(self.in_process_reruns, self.replace_infra, self.relaunch, self.warmup) < 0:
            raise UsageError(
                "--in-process-reruns, --replace-infra, --relaunch and --warmup take 0 or more"
            )
        if self.seed is not None and not 0 <= self.seed < 1 << 31:
            raise UsageError(f"--seed {self.seed}: give a number from 0 to 2147483647")
        check_sandbox(self.sandbox)
        check_limits(self.memory, self.max_processes)
        check_patches(self.patches, self.axes)
        _check_question(self)
        check_revisions(self.revs, self.rev_pythons, self.address, self.isolation)

    @property
    def setups(self) -> dict[str, SuiteSetup]:
        """The set-ups of suites that the configuration names."""
        return {name: setup_from_dict(stored) for name, stored in self.configured.items()}

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes that the options name, in the order of the options.

        Raises UsageError for a text that is no axis.
        """
        named = [(name, getattr(self, name)) for name in _AXES]
        if self.amplify:
            named.append((AMPLIFY_AXIS, (join_amplifiers(self.amplify),)))
        made = [make_axis(n, v, option=f"--{n.replace('_', '-')}") for n, v in named if v]
        return (
            *made,
            *(parse_axis(text) for text in self.axis),
            *(parse_axis(text, option="--env", prefix=ENV_PREFIX) for text in self.env),
        )


def store_options(options: RunOptions) -> dict[str, Any]:
    """Return the options as stored: JSON values only."""
    return asdict(options)


def read_options(stored: Mapping[str, Any]) -> RunOptions:
    """Return the options of a stored run. The reverse of `store_options`."""
    return RunOptions(**restore(RunOptions, upgrade_options(stored)))


def _check_question(options: RunOptions) -> None:
    if options.until not in (None, "decided"):
        raise UsageError(f"--until {options.until!r}: the only value is decided")
    if options.alternative not in list(Alternative):
        raise UsageError(
            f"--alternative {options.alternative!r}: choose from {', '.join(Alternative)}"
        )
    if options.alternative != Alternative.TWO_SIDED and not options.until:
        raise UsageError(
            f"--alternative {options.alternative}: a fixed number is judged two-sided; "
            "add --until decided"
        )
    if options.max_flake_rate is not None and not 0 < options.max_flake_rate < 1:
        raise UsageError(
            f"--max-flake-rate {options.max_flake_rate:g}: give a rate above 0 and below 1; "
            "no number of attempts proves a rate of 0"
        )
    if options.known_flakes and (options.until or options.max_flake_rate is not None):
        raise UsageError(
            "--known-flakes is a gate of its own, judged when the plan is complete: "
            "leave --until and --max-flake-rate out"
        )
    check_pair(options.base_rate, options.target_rate)
    if options.fixed_seed and (options.until or options.max_flake_rate is not None):
        raise UsageError(
            "--fixed-seed: repeats of one seed are one observation, so neither --until decided "
            "nor --max-flake-rate can be answered; remove one of them"
        )
    if options.until and options.replace_infra:
        raise UsageError(
            "--replace-infra: a run --until decided counts each infrastructure attempt both "
            "ways, and a replacement would come out of order; remove one of them"
        )

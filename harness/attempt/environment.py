"""Which environment variables reach a rank: `docs/reference/wire.md`, "Environment".

A person's run passes that person's environment on, less Ray's variables and known secrets. Measured
revisions and the bot run code that nobody has vouched for: they get an allow-list.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

# A name says that it holds a secret. TOKENIZERS_PARALLELISM and MAX_TOKENS do not.
_SECRET_NAME = re.compile(
    r"(^|_)(TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PASS|PWD|CREDENTIALS?|APIKEY|KEY|KEY_ID|PAT|DSN)"
    r"(_(ID|URL|FILE|PATH|JSON|BASE64|B64))?$|(^|_)(TOKEN|SECRET|PRIVATE_KEY)_|AUTH_(SOCK|CONFIG)$|"
    r"PASSWORD$|^SSHPASS$",
    re.I,
)
_NOT_SECRET = frozenset({"PWD", "OLDPWD"})
# A value says it: a URL with a user and a password, or a private key.
_SECRET_VALUE = re.compile(r"://[^/\s:@]*:[^/\s:@]+@|-----BEGIN [A-Z ]*PRIVATE KEY-----")

# What a measured program needs to find its interpreter, libraries, devices and caches.
_ALLOWED = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_*", "TZ", "TERM"),
    *("COLUMNS", "NO_COLOR", "PWD", "TMPDIR", "XDG_*", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_*"),
    *("PYTHON*", "PYTEST_*", "CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS", "MAX_JOBS", "CI"),
    *("CUDA_*", "NVIDIA_*", "NCCL_*", "GLOO_*", "CUBLAS_*", "CUDNN_*", "TORCH*", "PYTORCH_*"),
    *("TRITON_*", "OMP_*", "MKL_*", "KMP_*", "OPENBLAS_*", "NUMEXPR_*", "FLASH*", "CUTE_*"),
    *("HF_HOME", "HF_HUB_*", "HF_DATASETS_*", "TRANSFORMERS_*", "TOKENIZERS_PARALLELISM"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"),
)

#: The rank's own variables: a run inside another run's attempt must not pass the outer one's on.
_OWN = re.compile(
    r"HARNESS_(RUN_ID|ATTEMPT_ID|REPEAT|CELL|SEED|DESELECT|RENDEZVOUS|DEVICES?|FOLLOWER|WORKTREE|"
    r"SUITE|OVERLAID|PORTS?|CHECKOUT|STATE|POOL|WORDS|ATTACHED|REPORT_IMPORTS|OPEN_CONTEXT|"
    r"HOOK|HOOK_FOLDER|"
    r"[A-Z]+_FDS?)$|PYTEST_CURRENT_TEST$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRule:
    """What decides whether a variable is passed on. Patterns are shell patterns of names."""

    allow_list_only: bool = False
    """Pass what a program of a measured revision or of the bot needs, and nothing else."""
    passed: tuple[str, ...] = ()
    """`--pass-env`: passed whatever the other rules say."""
    secrets: tuple[str, ...] = ()
    """Further names that are secrets, beside those known by their name or value."""


@dataclass(frozen=True, slots=True)
class RankEnvironment:
    """The variables that ranks get, and the names of those that they do not get."""

    values: dict[str, str]
    withheld: tuple[str, ...]
    """Names alone, sorted: of secrets, and with an allow-list of all that is not on it."""


def select_environment(environ: Mapping[str, str], rule: EnvironmentRule) -> RankEnvironment:
    """Return what of `environ` reaches a rank, and what is withheld."""
    offered = {name: value for name, value in environ.items() if not _is_ours_or_rays(name, value)}
    values = {name: value for name, value in offered.items() if _is_passed(name, value, rule)}
    return RankEnvironment(values, tuple(sorted(offered.keys() - values.keys())))


def _is_ours_or_rays(name: str, value: str) -> bool:
    # Ray points PYTHONBREAKPOINT at its remote debugger: a stray breakpoint() would pass.
    rays = name.startswith("RAY_") or (name == "PYTHONBREAKPOINT" and value.startswith("ray."))
    return rays or _OWN.match(name) is not None


def _is_passed(name: str, value: str, rule: EnvironmentRule) -> bool:
    if _matches(name, rule.passed):
        return True
    if _is_secret(name, value) or _matches(name, rule.secrets):
        return False
    return not rule.allow_list_only or _matches(name, _ALLOWED)


def _is_secret(name: str, value: str) -> bool:
    if name in _NOT_SECRET:
        return False
    return bool(_SECRET_NAME.search(name) or _SECRET_VALUE.search(value))


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)

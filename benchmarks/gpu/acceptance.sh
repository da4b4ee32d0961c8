#!/usr/bin/env bash
# The GPU acceptance: kernels against float64, then every class of the default suite on every backend
# in both orders. One GPU or two.
#
#   benchmarks/gpu/acceptance.sh OUT_FOLDER [REPEATS] [TP]
#
# PYTEST_ARGS is given to pytest: the kernels' cases take over five minutes in one process, and
# 84 s with pytest-xdist's "-p no:benchmark -n 14" on 16 cores.
set -uo pipefail
out=$1 repeats=${2:-3} tp=${3:-1}
export NCCL_NVLS_ENABLE=0 PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" COLUMNS=110
harness() { python3 -c 'from harness.cli.main import main; main()' "$@"; }
part() { echo; echo "== $* ($(date -u +%H:%M:%S))"; }
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
date -u +%Y-%m-%d
part kernels
python3 -m pytest -q -m gpu -p no:cacheprovider ${PYTEST_ARGS:-} tests/engine 2>&1 | grep -v "^SKIPPED" | tail -25
harness doctor
part every class, "$repeats" repeats
harness run suites/test_*.py --repeats "$repeats" --tp "$tp" --order ascending,descending \
    --backend torch_native,fa2,fa3 --json "$out/classes.json"
echo "exit code $?"
part flex, one repeat
harness run suites/test_*.py --repeats 1 --tp "$tp" --order ascending,descending \
    --backend flex --timeout 420 --json "$out/flex.json"
echo "exit code $?"
part gate
harness gate
for attempt in .harness/runs/*/*; do
    grep -qE "FAILED|ERROR" "$attempt/rank0.log" 2>/dev/null && tail -c 1800 "$attempt/rank0.log"
done | head -150
cp .harness/store.sqlite "$out/" 2>/dev/null

#!/usr/bin/env bash
# The GPU acceptance of the default suite: both orders, tp 1 and 2, then the controls. Two GPUs.
#
#   benchmarks/gpu/acceptance.sh OUT_FOLDER
set -uo pipefail
out=$1
export NCCL_NVLS_ENABLE=0 PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" COLUMNS=110
harness() { python3 -c 'from harness.cli.main import main; main()' "$@"; }
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
date -u +%Y-%m-%d
python3 -m pytest -q -m gpu -p no:cacheprovider tests/engine 2>&1 | tail -15
harness doctor
harness run --repeats 3 --tp 1,2 --order ascending,descending --json "$out/default.json"
echo "exit code $?"
harness gate
harness run suites/faults/test_stale_buffer.py --repeats 10 --tp 1 --json "$out/positive.json"
echo "exit code $?"
tail -c 1500 .harness/runs/*/*.0/rank0.log | head -60
cp -r .harness/store.sqlite "$out/" 2>/dev/null

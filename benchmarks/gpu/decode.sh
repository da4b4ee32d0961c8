#!/usr/bin/env bash
# Decode steps beside the bandwidth's floor, per backend; tp 2 where there are two GPUs; then the
# memory that 35 captured sizes of the 8B shape cost per order, split control fixed.
#
#   benchmarks/gpu/decode.sh OUT_FOLDER
set -uo pipefail
out=$1
export NCCL_NVLS_ENABLE=0 PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" COLUMNS=110
here=benchmarks/gpu
harness() { python3 -c 'from harness.cli.main import main; main()' "$@"; }
quietly() { "$@" 2>"$out/stderr" || tail -4 "$out/stderr"; }
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
date -u +%Y-%m-%d
quietly python3 $here/decode.py --model suites/models/arith/target --batch 1,8 --length 48
quietly python3 $here/decode.py --batch 1,64
quietly python3 $here/decode.py --batch 1,64 --attention fa2 --page-size 256
quietly python3 $here/decode.py --batch 1,64 --attention fa3
if [ "$(nvidia-smi -L | wc -l)" -ge 2 ]; then
  quietly torchrun --nproc-per-node 2 $here/decode.py --batch 1 --attention fa2 --page-size 256
fi
cost() {
  harness capture-cost --model $here/shapes/llama-3-8b --backend "$1" --max-bs 5,64,128,256 \
    --arg load_format=dummy --arg max_context=1024 --json "$out/capture-cost-$1.json" "${@:2}"
}
cost torch_native
cost fa3 --arg attention_splits=1

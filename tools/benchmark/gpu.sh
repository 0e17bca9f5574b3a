#!/usr/bin/env bash
# Times the Langevin step of every published network and whole iterations of the published
# experiments on the GPU, with this program, with PyTorch, and the toy network's chain with JAX, and
# prints tables, Markdown. Let nothing else use the GPU. Needs a build of the preset cuda with the
# target ebm_gpu_benchmark, and a Python with CUDA's PyTorch (another may have JAX), or its columns
# stay empty: $PYTHON, or the first of those on the path and in /opt that has it. Every figure is in
# OUT/gpu.json the moment it is known; the tables again: gpu_table.py OUT/gpu.json
# usage: gpu.sh [--build FOLDER] [--out FOLDER] [--batches N,...] [--precisions P,...]
#                  [build/cuda]  [build/benchmark]  [1,16,100,1000]      [fp32,tf32,bf16]
set -euo pipefail
build=build/cuda out=build/benchmark batches=1,16,100,1000 precisions=fp32,tf32,bf16
while [[ $# -gt 0 ]]; do
  case $1 in
    --build) build=${2:?} ;;
    --out) out=${2:?} ;;
    --batches) batches=${2:?} ;;
    --precisions) precisions=${2:?} ;;
    *)
      echo "gpu.sh: unknown argument $1; usage: gpu.sh [--build FOLDER] [--out FOLDER]" \
        "[--batches N,...] [--precisions P,...]" >&2
      exit 2
      ;;
  esac
  shift 2
done
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tools/benchmark/python_with.sh
source "$here/python_with.sh"
mkdir -p "$out"
plans=$(mktemp -d)
trap 'rm -rf "$plans"' EXIT
file=$out/gpu.json
rm -f "$file"

# measure NAME COMMAND...: its figures, kept under that name.
measure() {
  local name=$1
  shift
  echo "benchmark: $name, by $1" >&2
  timeout "${BENCHMARK_SECONDS:-7200}" "$@" 2>"$out/$name.log" |
    python3 "$here/figures.py" "$file" add "$name" >/dev/null ||
    echo "benchmark: $name did not end well; see $out/$name.log" >&2
}

measure ebm "$build/ebm_gpu_benchmark" "$batches" "$precisions" "$plans"
if python=$(python_with torch); then
  measure pytorch "$python" "$here/pytorch_gpu_steps.py" "$batches" "$precisions"
else
  echo "benchmark: no Python here has PyTorch; name one in PYTHON" >&2
fi
if python=$(python_with jax); then
  measure jax "$python" "$here/jax_toy_chain.py" "$batches"
else
  echo "benchmark: no Python here has JAX; name one in PYTHON" >&2
fi
python3 "$here/gpu_table.py" "$file"

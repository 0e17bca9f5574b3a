#!/usr/bin/env bash
# Times the Langevin step and the training iteration of every published network on the CPU, with this
# program and with PyTorch, and prints one table, Markdown, that of docs/performance.md. Takes about
# twenty minutes; let nothing else run meanwhile. PyTorch is installed under build/; where it cannot
# be, its columns say so. The raw times stay in build/benchmark/.
# usage: run.sh [THREADS [BATCH,...]]      [every core, 1,16,100,1000]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
threads=${1:-$(nproc)}
batches=${2:-1,16,100,1000}
if [[ $# -gt 2 || ! $threads =~ ^[1-9][0-9]*$ || ! $batches =~ ^[1-9][0-9]*(,[1-9][0-9]*)*$ ]]; then
  echo "usage: run.sh [THREADS [BATCH,...]]" >&2
  exit 2
fi
out=build/benchmark
mkdir -p "$out"

tools/setup.sh benchmark
cmake --preset cpu >/dev/null
cmake --build build/cpu --target ebm_benchmark

# PyTorch's own index has builds without CUDA; where it is not reached, pip takes PyPI's.
venv=build/benchmark-venv
have_pytorch=true
if ! "$venv/bin/python" -c 'import torch' 2>/dev/null; then
  echo "benchmark: installing PyTorch into $venv"
  python3 -m venv "$venv" &&
    "$venv/bin/pip" install --quiet --retries 1 --requirement tools/benchmark/requirements.txt \
      --extra-index-url https://download.pytorch.org/whl/cpu 2>"$out/pip.log" || have_pytorch=false
fi

export OMP_NUM_THREADS=$threads
echo "benchmark: this program, on $threads threads"
build/cpu/ebm_benchmark "$batches" --benchmark_format=json >"$out/ebm.json" 2>"$out/ebm.log" || {
  cat "$out/ebm.log" >&2
  exit 1
}
rm -f "$out/pytorch.json"
if $have_pytorch; then
  echo "benchmark: PyTorch, on $threads threads"
  "$venv/bin/python" tools/benchmark/pytorch_steps.py "$threads" "$batches" "$out/pytorch.json" \
    2>"$out/pytorch.log" || echo "benchmark: PyTorch failed; see $out/pytorch.log" >&2
else
  echo "benchmark: PyTorch could not be installed; see $out/pip.log" >&2
fi
python3 tools/benchmark/table.py "$out/ebm.json" "$out/pytorch.json"

#!/usr/bin/env bash
# Times the Langevin step of every published network and whole iterations of the published
# experiments on the GPU, with this program and with PyTorch, and prints two tables, Markdown. Let
# nothing else use the GPU. Needs a build of the preset cuda with the target ebm_gpu_benchmark, and
# a Python with CUDA's PyTorch, or its columns stay empty: $PYTHON, or the first of those on the
# path and in /opt that has one.
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
mkdir -p "$out"
plans=$(mktemp -d)
trap 'rm -rf "$plans"' EXIT

# A caller that has set LD_LIBRARY_PATH for our program says here what PyTorch's is to be.
libraries=${PYTORCH_LIBRARY_PATH-${LD_LIBRARY_PATH:-}}

has_pytorch() {
  local -x LD_LIBRARY_PATH=$libraries
  "$1" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null
}

pytorch=''
for python in ${PYTHON:-} python3 python /opt/*/bin/python3 /opt/*/.venv/bin/python3; do
  if has_pytorch "$python"; then
    pytorch=$python
    break
  fi
done

echo "benchmark: this program" >&2
"$build/ebm_gpu_benchmark" "$batches" "$precisions" "$plans" >"$out/ebm_gpu.json"
rm -f "$out/pytorch_gpu.json"
if [[ -n $pytorch ]]; then
  echo "benchmark: PyTorch, by $pytorch" >&2
  LD_LIBRARY_PATH=$libraries timeout "${PYTORCH_SECONDS:-7200}" "$pytorch" "$here/pytorch_gpu_steps.py" "$batches" \
    "$precisions" "$out/pytorch_gpu.json" 2>"$out/pytorch_gpu.log" ||
    echo "benchmark: PyTorch did not end well; see $out/pytorch_gpu.log" >&2
else
  echo "benchmark: no Python here has PyTorch that sees a GPU; name one in PYTHON" >&2
fi
table=("${pytorch:-python3}" "$here/gpu_table.py" "$out/ebm_gpu.json" "$out/pytorch_gpu.json")
"${table[@]}" || cat "$out/ebm_gpu.json"

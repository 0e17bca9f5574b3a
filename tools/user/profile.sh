#!/usr/bin/env bash
# Runs a configuration's first iterations on the GPU under NVIDIA's profilers, prints a summary and
# says how to read it. The report stays in build/profile; what the run itself writes does not.
# usage: profile.sh nsys|ncu CONFIG.yaml [FIRST:LAST [OPTION...]]
#   nsys       Nsight Systems: the timeline of iterations FIRST to LAST [11:13]: what the GPU does
#              when, and where it has nothing to do
#   ncu        Nsight Compute: what limits each kernel of iterations FIRST to LAST [3:3], which have
#              5 Langevin steps here, since every kernel is run dozens of times for its counters
#   OPTION...  for ebm_train: --set langevin.steps=50, --set data.path=…
# Exit status: 0 there is a report; 2 wrong command line, or no profiler, program or GPU; otherwise
# the profiler's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

fail() {
  echo "profile: $*" >&2
  exit 2
}
[[ $# -ge 2 && ($1 == nsys || $1 == ncu) ]] ||
  fail "usage: profile.sh nsys|ncu CONFIG.yaml [FIRST:LAST [OPTION...]]"
tool=$1
config=$2
case $tool in
  nsys) iterations=${3:-11:13} product='Nsight Systems' ;;
  ncu) iterations=${3:-3:3} product='Nsight Compute' ;;
esac
options=("${@:4}")
[[ -f $config ]] || fail "there is no configuration $config"
[[ $iterations =~ ^[1-9][0-9]*:[1-9][0-9]*$ ]] ||
  fail "iterations are FIRST:LAST, from 1, not $iterations"

if ! command -v "$tool" >/dev/null; then
  PATH=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin
  command -v "$tool" >/dev/null || fail "$tool is neither in PATH nor in" \
    "${CUDA_HOME:-/usr/local/cuda}/bin: install $product (a part of the CUDA Toolkit)"
fi
program=build/cuda/ebm_train
[[ -x $program ]] ||
  fail "there is no $program: cmake --preset cuda && cmake --build build/cuda --target ebm_train"
nvidia-smi -L 2>/dev/null | grep -q . || fail "this machine has no GPU (nvidia-smi -L lists none)"

mkdir -p build/profile
name=$(basename "$config" .yaml)-$tool-$(date +%Y%m%d-%H%M%S)
report=build/profile/$name
run=$(mktemp -d "build/profile/run-XXXXXX")
trap 'rm -rf "$run"' EXIT
training=("$program" "$config" --device cuda --out "$run" --quiet --profile "$iterations"
  --set "train.iterations=${iterations#*:}")

# Both wait for the program to turn capture on (cudaProfilerStart), and look into CUDA graphs, which
# would otherwise be one entry each.
case $tool in
  nsys)
    nsys profile --trace=cuda,nvtx,cudnn,cublas --sample=none --cpuctxsw=none \
      --cuda-graph-trace=node --capture-range=cudaProfilerApi --capture-range-end=stop \
      --output="$report" "${training[@]}" "${options[@]}"
    report+=.nsys-rep
    nsys stats --report nvtx_gpu_proj_sum --report cuda_gpu_kern_sum --report cuda_api_sum "$report"
    cat <<END

$report: open it with nsys-ui, or see the tables above.
  Ranges are the steps of Algorithm 1 ("1 data batch" to "5 optimizer step, 4 bank") inside
  "iteration". On the host's row they are where work was enqueued, on the GPU's (NVTX GPU
  projection) where it was done: go by the latter.
  - Nearly all the time should be in "3 Langevin steps". Zoom in until single kernels show: gaps
    between them there, or between graph launches, are time that the GPU waits for the host. All
    gaps of an iteration together should be below 5% of it (tracing each kernel of a graph adds
    some of its own: the log of a run without a profiler has the true time per iteration).
  - cuda_gpu_kern_sum has the kernels by total time. What is to be made faster is on top: see what
    limits it with tools/user/profile.sh ncu.
  - cuda_api_sum: within an iteration the host should only launch. Allocations (cudaMalloc…) and
    waits (cudaStreamSynchronize) belong to log points; cudaEventSynchronize is the host being
    ahead of the GPU, as it should be.
END
    ;;
  ncu)
    ncu --profile-from-start off --graph-profiling node --set full --nvtx --export "$report" \
      "${training[@]}" --set langevin.steps=5 "${options[@]}"
    report+=.ncu-rep
    [[ -f $report ]] || fail "ncu left no report. If it said ERR_NVGPUCTRPERM, an administrator must" \
      "allow access to performance counters: https://developer.nvidia.com/ERR_NVGPUCTRPERM"
    ncu --import "$report" --print-summary per-kernel --page details --section SpeedOfLight \
      --section Occupancy
    cat <<END

$report: open it with ncu-ui, or see the tables above.
  - Compute (SM) and Memory Throughput are percentages of what the GPU can do. One near 80% or more:
    the kernel is as fast as that unit. Both low: too few threads, or each waits (see Occupancy and
    Warp State Statistics in ncu-ui).
  - langevin_update moves 12 bytes for each component of a state (it reads x and the gradient, and
    writes x; noise is made in registers) and should be limited by memory. States of a small batch
    stay in the L2 cache, so look at L2 as well as at DRAM throughput.
  - Convolutions should be limited by compute, in the tensor cores unless precision is fp32.
  - Local memory traffic ("Local" in Memory Workload Analysis) means that registers were spilled.
  - The toy network's chains are one kernel for all steps: profile it with its own number of them
    (--set langevin.steps=500).
  Durations here are at the base clock, one kernel at a time: take those of nsys for sums.
END
    ;;
esac

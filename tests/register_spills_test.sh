#!/usr/bin/env bash
# Compiles kernels' sources once more and fails when the compiler's report shows that a kernel keeps
# registers in memory (spills, or a stack frame), or that a source has no kernel at all.
# usage: register_spills_test.sh NVCC "ARCHITECTURE…" SOURCE… -- OPTION…
#        ARCHITECTURE as CMAKE_CUDA_ARCHITECTURES has them, separated by spaces; OPTIONs are nvcc's
set -euo pipefail

nvcc=$1
read -ra architectures <<<"$2"
shift 2
sources=()
while [[ $1 != -- ]]; do
  sources+=("$1")
  shift
done
shift

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0
for source in "${sources[@]}"; do
  for architecture in "${architectures[@]}"; do
    [[ $architecture == *-virtual ]] && continue
    report=$("$nvcc" "$@" -x cu -cubin -Xptxas -v -arch="sm_${architecture%-real}" \
      -o "$folder/kernel.cubin" "$source" 2>&1) || {
      echo "$report"
      exit 1
    }
    kernels=$(grep -c 'bytes spill stores' <<<"$report" || true)
    spilled=$(grep -B 1 'bytes spill stores' <<<"$report" |
      grep -v ' 0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads' |
      grep -B 1 'bytes spill stores' || true)
    echo "$(basename "$source") for sm_${architecture%-real}: $kernels kernels," \
      "at most $(grep -o 'Used [0-9]* registers' <<<"$report" | sort -k2n | tail -1 | grep -o '[0-9]*') registers"
    if ((kernels == 0)) || [[ -n $spilled ]]; then
      echo "register spills: $source for sm_${architecture%-real} has $kernels kernels and spills:"
      echo "$spilled"
      failed=1
    fi
  done
done
exit $failed

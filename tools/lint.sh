#!/usr/bin/env bash
# Checks layout with clang-format and, but for tests, habits with clang-tidy; both as Debian 12 has
# them (version 14).
# Exit status 0 if neither finds anything; a tool that is not installed is named and passed over.
# usage: lint.sh [--format-only]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if command -v clang-format >/dev/null; then
  find cuda host tests -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh' |
    xargs clang-format --dry-run -Werror || {
    echo "lint: clang-format -i FILE mends these" >&2
    exit 1
  }
else
  echo "lint: clang-format is not installed (Debian package clang-format); layout not checked"
fi
[[ ${1:-} != --format-only ]] || exit 0

if ! command -v run-clang-tidy >/dev/null; then
  echo "lint: clang-tidy is not installed (Debian package clang-tidy); habits not checked"
  exit 0
fi
presets=(cpu emulated)
for preset in "${presets[@]}"; do
  cmake --preset "$preset" >/dev/null
done
cmake --build build/cpu --target ebm_event_proto >/dev/null # whose header others include

# Each file is checked once: CUDA code as the emulated preset compiles it, which sees kernels too,
# all other as that of the CPU. Left out are the few files that include cuDNN's C++ headers, which
# take clang-tidy minutes each.
files_of() {
  local file
  while read -r file; do
    if ! grep -qF "\"file\": \"$file\"" build/cpu/compile_commands.json ||
      grep -qE '__CUDACC__|EBM_CUDA' "$file"; then
      [[ $1 != emulated ]] || echo "$file"
    else
      [[ $1 != cpu ]] || echo "$file"
    fi
  done < <(find "$PWD/cuda" "$PWD/host" -name '*.cpp' -o -name '*.cu')
}

# The compile commands are GCC's: show clang-tidy where GCC keeps omp.h.
options=(-quiet -j "$(nproc)" "-extra-arg=-idirafter$(dirname "$(g++ -print-file-name=include/omp.h)")")
# Products of ints are 32 bits wide in kernels, where registers are.
kernels=-checks=-bugprone-implicit-widening-of-multiplication-result
report=$(mktemp)
trap 'rm -f "$report"' EXIT
for preset in "${presets[@]}"; do
  [[ $preset == cpu ]] || options+=("$kernels")
  if ! files_of "$preset" | xargs run-clang-tidy "${options[@]}" -p "build/$preset" \
    >"$report" 2>&1; then
    grep -E -A 4 'error:|warning:' "$report" || cat "$report"
    exit 1
  fi
done

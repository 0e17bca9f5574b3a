#!/usr/bin/env bash
# Checks layout with clang-format and, but for tests, habits with clang-tidy; both as Debian 12 has
# them (version 14).
# Exit status 0 if neither finds anything; a tool that is not installed is named and passed over.
# usage: lint.sh [--format-only]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/local/cuda/bin

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
if command -v nvcc >/dev/null; then
  tools/setup.sh cuda
  presets+=(cuda)
else
  echo "lint: no nvcc here; cuDNN's part not checked"
fi
for preset in "${presets[@]}"; do
  cmake --preset "$preset" >/dev/null
done
cmake --build build/cpu --target ebm_event_proto >/dev/null # whose header others include

# Each file is checked as the preset compiles it that sees most of it: the CPU's, the emulated one
# where there is CUDA code, and the real one, but for kernels, where only that has it.
compiles() { grep -qF "\"file\": \"$2\"" "build/$1/compile_commands.json"; }
declare -A files
while read -r file; do
  if compiles cpu "$file" && ! grep -qE '__CUDACC__|EBM_CUDA' "$file"; then
    files[cpu]+=" $file"
  elif compiles emulated "$file"; then
    files[emulated]+=" $file"
  else
    files[cuda]+=" $file"
  fi
done < <(find "$PWD/cuda" "$PWD/host" -name '*.cpp' -o -name '*.cu')

# The compile commands are GCC's: show clang-tidy where GCC keeps omp.h.
options=(-quiet -j "$(nproc)" "-extra-arg=-idirafter$(dirname "$(g++ -print-file-name=include/omp.h)")")
# Products of ints are 32 bits wide in kernels, where registers are.
kernels=-checks=-bugprone-implicit-widening-of-multiplication-result
report=$(mktemp)
trap 'rm -f "$report"' EXIT
for preset in "${presets[@]}"; do
  [[ $preset == cpu ]] || options+=("$kernels")
  if ! xargs run-clang-tidy "${options[@]}" -p "build/$preset" <<<"${files[$preset]}" \
    >"$report" 2>&1; then
    grep -E -A 4 'error:|warning:' "$report" || cat "$report"
    exit 1
  fi
done

#!/usr/bin/env bash
# Checks layout with clang-format and, but for tests, habits with clang-tidy; both as Debian 12 has
# them (version 14). clang-tidy takes minutes: a file that it found clean is passed over until what
# the compiler sees of it changes, its headers included.
# Exit status 0 if neither finds anything; a tool that is not installed is named and passed over.
# usage: lint.sh [--format-only | --all]     --all: also the files that were clean before
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
case ${1:-} in
  '' | --format-only | --all) ;;
  *)
    echo "lint: unknown argument $1; usage: lint.sh [--format-only | --all]" >&2
    exit 2
    ;;
esac

if command -v clang-format >/dev/null; then
  find cuda host tests tools -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh' |
    xargs clang-format --dry-run -Werror || {
    echo "lint: clang-format -i FILE mends these" >&2
    exit 1
  }
else
  echo "lint: clang-format is not installed (Debian package clang-format); layout not checked"
fi
[[ ${1:-} != --format-only ]] || exit 0

if ! command -v clang-tidy >/dev/null; then
  echo "lint: clang-tidy is not installed (Debian package clang-tidy); habits not checked"
  exit 0
fi
for preset in cpu emulated; do
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
      [[ $1 != emulated ]] || ! grep -qF "\"file\": \"$file\"" build/emulated/compile_commands.json ||
        echo "$file"
    else
      [[ $1 != cpu ]] || echo "$file"
    fi
  done < <(find "$PWD/cuda" "$PWD/host" -name '*.cpp' -o -name '*.cu')
}

# The compile commands are GCC's: show clang-tidy where GCC keeps omp.h.
options=("-extra-arg=-idirafter$(dirname "$(g++ -print-file-name=include/omp.h)")")
[[ ${1:-} != --all ]] || options+=(--all)
# Products of ints are 32 bits wide in kernels, where registers are.
kernels=-checks=-bugprone-implicit-widening-of-multiplication-result
files_of cpu | tools/tidy_changed.py build/cpu "${options[@]}"
files_of emulated | tools/tidy_changed.py build/emulated "${options[@]}" "$kernels"

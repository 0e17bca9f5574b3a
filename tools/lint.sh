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
      [[ $1 != emulated ]] || ! grep -qF "\"file\": \"$file\"" build/emulated/compile_commands.json ||
        echo "$file"
    else
      [[ $1 != cpu ]] || echo "$file"
    fi
  done < <(find "$PWD/cuda" "$PWD/host" -name '*.cpp' -o -name '*.cu')
}

# The compile commands are GCC's: show clang-tidy where GCC keeps omp.h.
options=(-quiet -j "$(nproc)" "-extra-arg=-idirafter$(dirname "$(g++ -print-file-name=include/omp.h)")")
# Products of ints are 32 bits wide in kernels, where registers are.
kernels=-checks=-bugprone-implicit-widening-of-multiplication-result
clean=${XDG_CACHE_HOME:-$HOME/.cache}/ebm/lint # an empty file for each that was found clean
mkdir -p "$clean"
rules=$({ clang-tidy --version && cat .clang-tidy && echo "$kernels"; } | sha256sum | cut -c 1-16)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
checked=0
for preset in "${presets[@]}"; do
  [[ $preset == cpu ]] || options+=("$kernels")
  files_of "$preset" | tools/preprocessed_digests.py "build/$preset" >"$scratch/digests"
  files=()
  stamps=()
  while read -r digest file; do
    stamp=$clean/$rules-$digest
    if [[ ${1:-} == --all || ! -e $stamp ]]; then
      files+=("$file")
      stamps+=("$stamp")
    fi
  done <"$scratch/digests"
  [[ ${#files[@]} -gt 0 ]] || continue
  if ! run-clang-tidy "${options[@]}" -p "build/$preset" "${files[@]}" >"$scratch/report" 2>&1; then
    grep -E -A 4 'error:|warning:' "$scratch/report" || cat "$scratch/report"
    exit 1
  fi
  touch "${stamps[@]}"
  checked=$((checked + ${#files[@]}))
done
echo "lint: clang-tidy checked $checked files; the others were clean before"

#!/usr/bin/env bash
# Checks layout with clang-format and, but for tests, habits with clang-tidy; both as Debian 12 has
# them (version 14).
# Exit status 0 if neither finds anything; a tool that is not installed is named and passed over.
# usage: lint.sh [--format-only] [PRESET]      PRESET is one of CMakePresets.json [cpu]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

format_only=false
if [[ ${1:-} == --format-only ]]; then
  format_only=true
  shift
fi
preset=${1:-cpu}

if command -v clang-format >/dev/null; then
  find cuda host tests -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh' |
    xargs clang-format --dry-run -Werror || {
    echo "lint: clang-format -i FILE mends these" >&2
    exit 1
  }
else
  echo "lint: clang-format is not installed (Debian package clang-format); layout not checked"
fi
! $format_only || exit 0

if ! command -v run-clang-tidy >/dev/null; then
  echo "lint: clang-tidy is not installed (Debian package clang-tidy); habits not checked"
  exit 0
fi
cmake --preset "$preset" >/dev/null
cmake --build "build/$preset" --target ebm_event_proto >/dev/null  # whose header others include
# The compile commands are GCC's: show clang-tidy where GCC keeps omp.h.
gcc_headers=$(dirname "$(g++ -print-file-name=include/omp.h)")
report=$(mktemp)
trap 'rm -f "$report"' EXIT
if ! find "$PWD/cuda" "$PWD/host" -name '*.cpp' -o -name '*.cu' |
  xargs run-clang-tidy -quiet -p "build/$preset" -j "$(nproc)" \
    -extra-arg="-idirafter$gcc_headers" >"$report" 2>&1; then
  grep -E -A 4 'error:|warning:' "$report" || cat "$report"
  exit 1
fi

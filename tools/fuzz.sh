#!/usr/bin/env bash
# Feeds the readers of files inputs that libFuzzer makes up from the seeds in tests/fuzz/corpus,
# under AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer, and prints a table. An input
# is a finding when it crashes a reader, makes it throw another exception than those for wrong
# input, or makes it take more than 5 seconds or 1 GiB of memory, or 256 MiB at once: it ends that
# target's run and is kept in build/fuzz/findings; build/fuzz/tests/fuzz/fuzz_TARGET FILE repeats
# it. Inputs that reached new code are kept in build/fuzz/corpus, where the next run starts.
# Exit status 0 without findings.
# usage: fuzz.sh [--runs N] [TARGET...]      N executions of each [1000000]; TARGET is the name of a
#                                            folder in tests/fuzz/corpus [all of them]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

runs=1000000
if [[ ${1:-} == --runs ]]; then
  runs=${2:-}
  shift $(($# < 2 ? $# : 2))
fi
if [[ ! $runs =~ ^[1-9][0-9]*$ || ${1:-} == -* ]]; then
  echo "usage: fuzz.sh [--runs N] [TARGET...]" >&2
  exit 2
fi
targets=("$@")
[[ $# -gt 0 ]] || mapfile -t targets < <(find tests/fuzz/corpus -mindepth 1 -printf '%P\n' -prune | sort)
for target in "${targets[@]}"; do
  if [[ ! -d tests/fuzz/corpus/$target ]]; then
    echo "fuzz: there is no target '$target'; those are:" "$(ls tests/fuzz/corpus)" >&2
    exit 2
  fi
done

tools/setup.sh fuzz
cmake --preset fuzz >/dev/null
cmake --build build/fuzz --target "${targets[@]/#/fuzz_}"

export OMP_NUM_THREADS=1
export ASAN_OPTIONS=quarantine_size_mb=16 UBSAN_OPTIONS=print_stacktrace=1
[[ ! -w /dev/shm ]] || export TMPDIR=/dev/shm  # for readers of folders: in memory
status=0
row='%-16s %10s %8s %8s %8s %8s\n'
# shellcheck disable=SC2059
printf "$row" target executions seconds 'exec/s' coverage findings
for target in "${targets[@]}"; do
  corpus=build/fuzz/corpus/$target
  findings=build/fuzz/findings/$target
  log=build/fuzz/$target.log
  mkdir -p "$corpus" "$findings"
  start=$(date +%s%N)
  found=0
  build/fuzz/tests/fuzz/"fuzz_$target" -runs="$runs" -seed=1 -max_len=16384 \
    -timeout=5 -rss_limit_mb=1024 -malloc_limit_mb=256 -print_final_stats=1 \
    -artifact_prefix="$findings/" "$corpus" "tests/fuzz/corpus/$target" >"$log" 2>&1 || found=1
  milliseconds=$((($(date +%s%N) - start) / 1000000 + 1))
  executed=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
  # shellcheck disable=SC2059
  printf "$row" "$target" "${executed:-?}" "$((milliseconds / 1000))" \
    "$((${executed:-0} * 1000 / milliseconds))" \
    "$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)" "$found"
  if [[ $found -ne 0 ]]; then
    grep -E 'ERROR|runtime error|terminate|what\(\)|Test unit written' "$log" | sed 's/^/  /' ||
      tail "$log"
    status=1
  fi
done
exit "$status"

#!/usr/bin/env bash
# Feeds the readers of files inputs that libFuzzer makes up from the seeds in tests/fuzz/corpus,
# under AddressSanitizer and UndefinedBehaviorSanitizer, and prints a table. An input that crashes a
# reader, makes it throw another exception than its own, take more than 1 GiB or more than 5 seconds
# is a finding: it ends that target's run and is kept in build/fuzz/findings. Inputs that reached
# new code are kept in build/fuzz/corpus, where the next run starts. Exit status 0 without findings.
# usage: fuzz.sh [TARGET|all [EXECUTIONS]]      TARGET is a file's name in tests/fuzz [all, 1000000]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${1:-all}
executions=${2:-1000000}

tools/setup.sh fuzz
cmake --preset fuzz >/dev/null
if [[ $target == all ]]; then
  cmake --build --preset fuzz
  targets=(tests/fuzz/corpus/*/)
else
  cmake --build --preset fuzz --target "fuzz_$target"
  targets=("$target")
fi

export OMP_NUM_THREADS=1
status=0
row='%-18s %12s %9s %9s %9s\n'
# shellcheck disable=SC2059
printf "$row" target executions seconds coverage findings
for target in "${targets[@]}"; do
  target=$(basename "$target")
  corpus=build/fuzz/corpus/$target
  findings=build/fuzz/findings/$target
  log=build/fuzz/$target.log
  mkdir -p "$corpus" "$findings"
  found=0
  seconds=$SECONDS
  build/fuzz/tests/fuzz/"fuzz_$target" -runs="$executions" -seed=1 -timeout=5 -rss_limit_mb=1024 \
    -print_final_stats=1 -artifact_prefix="$findings/" "$corpus" "tests/fuzz/corpus/$target" \
    >"$log" 2>&1 || found=1
  # shellcheck disable=SC2059
  printf "$row" "$target" "$(sed -n 's/^stat::number_of_executed_units: //p' "$log")" \
    "$((SECONDS - seconds))" "$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)" "$found"
  if [[ $found -ne 0 ]]; then
    grep -E 'ERROR|runtime error|terminate|what\(\)|Test unit written' "$log" | sed 's/^/  /' || tail "$log"
    status=1
  fi
done
exit "$status"

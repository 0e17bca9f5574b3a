#!/usr/bin/env bash
# Kills training runs at random moments (SIGKILL), goes on with each, and compares what they end in
# with runs that were never stopped: the same bits.
# usage: kills_test.sh EBM_TRAIN [KILLS]      of each of two experiments [100]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../support/interrupted_runs.sh"
ebm_train=$1
kills=${2:-100}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
write_configurations "$folder"
run=$folder/run

for name in toy digits; do
  more=(--set train.iterations=$((kills * 3 < 60 ? 60 : kills * 3)) --set log.every=10)
  "$ebm_train" "$folder/$name.yaml" --quiet --out "$folder/whole_$name" "${more[@]}"
  killed=0
  finished=0
  while [[ $killed -lt $kills || $finished -eq 0 || -e $run ]]; do
    if [[ -f $run/config.yaml ]]; then
      command=(--resume "$run")
    else
      rm -rf "$run"
      command=("$folder/$name.yaml" --out "$run" "${more[@]}")
    fi
    "$ebm_train" "${command[@]}" --quiet >"$folder/output" 2>&1 &
    if [[ $killed -lt $kills ]]; then
      sleep "0.$(printf '%03d' $((RANDOM % 400)))"
      kill -KILL $! 2>/dev/null || true
    fi
    status=0
    wait $! 2>/dev/null || status=$?
    case $status in
      137) killed=$((killed + 1)) ;;
      0)
        found=$(differences "$run" "$folder/whole_$name") || fail "$name: after $killed kills: $found"
        finished=$((finished + 1))
        rm -rf "$run"
        ;;
      *) fail "$name: status $status: $(<"$folder/output")" ;;
    esac
  done
  echo "$name: $killed kills in $finished runs, the same bits each time"
done

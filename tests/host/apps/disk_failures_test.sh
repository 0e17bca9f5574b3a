#!/usr/bin/env bash
# Lets the disk fail at one write, rename or other change after another of a training run: full,
# read-only, or with the program killed in the middle. Whatever happens, the run must end with
# status 1, leave its last state whole, and go on to the same bits as the run that never failed.
# usage: disk_failures_test.sh EBM_TRAIN FAILING_DISK.so [STEP]     every STEP-th change [1]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../support/interrupted_runs.sh"
ebm_train=$1
disk=$2
step=${3:-1}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
write_configurations "$folder"
export OMP_NUM_THREADS=1
run=$folder/run
no_plots=/nowhere # where gnuplot is not

# Trains from the start with the disk failing at a change; 0: never.
train() {
  PATH=$no_plots LD_PRELOAD=$disk EBM_DISK_FOLDER=$run EBM_DISK_HOW=$1 EBM_DISK_CHANGE=$2 \
    EBM_DISK_COUNT=$folder/count "$ebm_train" "$folder/$name.yaml" --quiet --out "$run" 2>&1
}

for name in toy digits; do
  PATH=$no_plots "$ebm_train" "$folder/$name.yaml" --quiet --out "$folder/whole_$name" >/dev/null
  train full 0 >/dev/null
  [[ -z $(differences "$run" "$folder/whole_$name") ]] || fail "$name: the preloaded run differs"
  changes=$(<"$folder/count")
  for how in kill full readonly; do
    tried=0
    for ((change = 1 + RANDOM % step; change <= changes; change += step)); do
      rm -rf "$run"
      status=0
      output=$(train "$how" "$change") || status=$?
      at="$name, $how at change $change of $changes"
      case $how in
        kill) [[ $status -eq 137 ]] || fail "$at: status $status: $output" ;;
        # Some failures cost nothing: a picture of TensorBoard's, an old file that stays.
        *) [[ $status -eq 1 || $status -eq 0 ]] || fail "$at: status $status: $output" ;;
      esac
      if [[ $status -eq 1 && ! $output =~ (No space left|Read-only file system) ]]; then
        fail "$at: the reason is not told: $output"
      fi
      # What `latest` names, or, killed before there was one, the only state.
      state=$(cat "$run/checkpoints/latest" 2>/dev/null ||
        basename -a "$run"/checkpoints/state_*.safetensors)
      last=$(sed -n 's/state_0*\([0-9]\+\).*/\1/p' <<<"$state")
      last=${last:-0}
      if [[ -f $run/config.yaml ]]; then
        PATH=$no_plots "$ebm_train" --resume "$run" >"$folder/output" 2>&1 ||
          fail "$at: cannot go on: $(<"$folder/output")"
        grep -q "going on after iteration $last of" "$folder/output" ||
          fail "$at: did not go on from $last: $(<"$folder/output")"
      else
        rm -rf "$run" # killed before there was anything
        train full 0 >/dev/null
      fi
      found=$(differences "$run" "$folder/whole_$name") || fail "$at: $found"
      tried=$((tried + 1))
    done
    echo "$name: $how at $tried of $changes changes, the same bits each time"
  done
  rm -rf "$run"
done

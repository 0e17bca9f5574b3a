#!/usr/bin/env bash
# Trains on disks (tmpfs) that are too small, one size after another: the run must end with status 1
# and say why, and, copied to where there is room, go on from its last state to the same bits as the
# run that was never short of it. Then goes on with a run on a disk that has become read-only. The
# disks are mounted in a namespace of this script's own; where that is not allowed it is skipped
# (status 77). disk_failures_test.sh lets every single change fail, but on a disk that pretends.
# usage: full_disk_test.sh EBM_TRAIN [SIZES]      of the disks, for each of two experiments [10]
set -euo pipefail
if [[ -z ${EBM_OWN_MOUNTS:-} ]]; then
  own_mounts=(unshare --mount --map-root-user)
  if ! "${own_mounts[@]}" mount -t tmpfs none /mnt 2>/dev/null; then
    echo "skipped: this user cannot mount a disk, not even one of its own"
    exit 77
  fi
  EBM_OWN_MOUNTS=yes exec "${own_mounts[@]}" "$0" "$@"
fi
source "$(dirname "${BASH_SOURCE[0]}")/../../support/interrupted_runs.sh"
ebm_train=$1
sizes=${2:-10}
folder=$(mktemp -d)
trap 'umount -q "$folder/disk" || true; rm -rf "$folder"' EXIT
write_configurations "$folder"
export OMP_NUM_THREADS=1
export PATH=/usr/bin:/bin
disk=$folder/disk
mkdir "$disk"

train() {
  "$ebm_train" "$folder/$name.yaml" --quiet "$@" 2>&1
}

# Goes on with the run in a copy of it on another disk.
go_on_elsewhere() {
  local last found
  rm -rf "$folder/run"
  if [[ ! -f $disk/run/config.yaml ]]; then
    [[ ! -e $disk/run/checkpoints ]] || fail "$at: checkpoints without a configuration"
    return
  fi
  cp -a "$disk/run" "$folder/run"
  last=$(sed -n 's/state_0*\([0-9]\+\).*/\1/p' "$folder/run/checkpoints/latest" 2>/dev/null) || true
  "$ebm_train" --resume "$folder/run" >"$folder/output" 2>&1 ||
    fail "$at: cannot go on: $(<"$folder/output")"
  grep -q "going on after iteration ${last:-0} of" "$folder/output" ||
    fail "$at: did not go on from ${last:-0}: $(<"$folder/output")"
  found=$(differences "$folder/run" "$folder/whole_$name") || fail "$at: $found"
}

for name in toy digits; do
  train --out "$folder/whole_$name"
  needed=$(du --summarize --block-size=1024 "$folder/whole_$name" | cut -f 1)
  full=0
  for ((i = 1; i <= sizes; ++i)); do
    size=$((needed * i / sizes))
    at="$name on a disk of $size KiB"
    mount -t tmpfs -o "size=${size}k" none "$disk"
    status=0
    output=$(train --out "$disk/run") || status=$?
    case $status in
      0) ;; # plots can be missing
      1)
        full=$((full + 1))
        [[ $output == *"No space left"* ]] || fail "$at: the reason is not told: $output"
        ;;
      *) fail "$at: status $status: $output" ;;
    esac
    go_on_elsewhere
    umount "$disk"
  done
  [[ $full -gt 0 ]] || fail "$name: no disk was too small"
  echo "$name: $full of $sizes disks were full, the same bits each time"

  at="$name on a disk that became read-only"
  mount -t tmpfs none "$disk"
  train --out "$disk/run" --set train.iterations=3
  cp -a "$disk/run" "$folder/before"
  mount -o remount,ro "$disk"
  status=0
  output=$("$ebm_train" --resume "$disk/run" --set train.iterations=6 2>&1) || status=$?
  [[ $status -eq 1 && $output == *"Read-only file system"* ]] || fail "$at: status $status: $output"
  diff -r "$folder/before" "$disk/run" || fail "$at: the folder changed"
  rm -r "$folder/before"
  umount "$disk"
  echo "$at: refused, and nothing is lost"
done

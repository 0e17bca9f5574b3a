#!/usr/bin/env bash
# profile.sh with stand-ins for the profilers, the driver and ebm_train: what it runs, and how it
# fails. Whether the profilers take these options only they can say.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit
# shellcheck source=tests/support/checks.sh
source ../support/checks.sh

# profile.sh works in the folder above its own.
mkdir -p "$scratch/bin" "$scratch/tree/tools/user" "$scratch/tree/build/cuda"
cp ../../tools/user/profile.sh "$scratch/tree/tools/user/"
cd "$scratch/tree" || exit
touch mine.yaml
export PATH=$scratch/bin:/usr/bin:/bin CUDA_HOME=$scratch/none
calls=$scratch/calls

# stand_in FILE BODY: a program that notes how it was called, and does BODY.
stand_in() {
  # shellcheck disable=SC2016
  printf '#!/bin/bash\necho "${0##*/} $*" >>"%s"\n%s\n' "$calls" "$2" >"$1"
  chmod +x "$1"
}
# called PATTERN: one of the calls noted is that, as a whole.
called() { grep -qxE -- "$1" "$calls" || fail "no call '$1' in: $(cat "$calls")"; }

# Each thing that is missing is named, the first one first.
run 2 tools/user/profile.sh nsys
says usage
run 2 tools/user/profile.sh other mine.yaml
says usage
run 2 tools/user/profile.sh nsys none.yaml
says 'no configuration none.yaml'
run 2 tools/user/profile.sh nsys mine.yaml 3
says 'FIRST:LAST, from 1, not 3'
run 2 tools/user/profile.sh nsys mine.yaml 0:3
says 'not 0:3'
run 2 tools/user/profile.sh nsys mine.yaml
says 'install Nsight Systems'
run 2 tools/user/profile.sh ncu mine.yaml
says 'install Nsight Compute'
# shellcheck disable=SC2016
stand_in "$scratch/bin/nsys" '[[ $1 != stats ]] || exit 0
while [[ $1 != build/cuda/* ]]; do
  [[ $1 != --output=* ]] || touch "${1#--output=}.nsys-rep"
  shift
done
exec "$@"'
# shellcheck disable=SC2016
stand_in "$scratch/bin/ncu" '[[ $1 != --import ]] || exit 0
while [[ $1 != build/cuda/* ]]; do
  [[ $1 != --export || -n ${NO_COUNTERS:-} ]] || touch "$2.ncu-rep"
  shift
done
exec "$@"'
run 2 tools/user/profile.sh nsys mine.yaml
says 'no build/cuda/ebm_train: cmake --preset cuda'
# shellcheck disable=SC2016
stand_in build/cuda/ebm_train 'exit ${TRAINING:-0}'
stand_in "$scratch/bin/nvidia-smi" 'exit 9'
run 2 tools/user/profile.sh ncu mine.yaml
says 'no GPU'
equal "$(cut -d' ' -f1 "$calls" | sort -u)" nvidia-smi
stand_in "$scratch/bin/nvidia-smi" 'echo "GPU 0: a stand-in"'

# The profiler runs the training, and shows its report; the training's own folder is gone.
training='mine\.yaml --device cuda --out build/profile/run-\w+ --quiet'
run 0 tools/user/profile.sh nsys mine.yaml
says '3 Langevin steps'
called "ebm_train $training --profile 11:13 --set train\.iterations=13"
called 'nsys profile .*--cuda-graph-trace=node --capture-range=cudaProfilerApi .*'
called 'nsys stats .* build/profile/mine-nsys-[-0-9]+\.nsys-rep'
equal "$(find build/profile -mindepth 1 -printf "%f\n" | sed "s/[0-9]/N/g")" mine-nsys-NNNNNNNN-NNNNNN.nsys-rep
run 0 tools/user/profile.sh ncu mine.yaml 2:4 --set langevin.steps=50
says 'langevin_update'
called "ebm_train $training --profile 2:4 --set train\.iterations=4 --set langevin\.steps=5 --set langevin\.steps=50"
called 'ncu --profile-from-start off --graph-profiling node --set full .*'
called 'ncu --import build/profile/mine-ncu-[-0-9]+\.ncu-rep .*'

# Failures of the run and of the profiler are the script's.
TRAINING=3 run 3 tools/user/profile.sh nsys mine.yaml
rm build/profile/*
NO_COUNTERS=1 run 2 tools/user/profile.sh ncu mine.yaml
says ERR_NVGPUCTRPERM

finish

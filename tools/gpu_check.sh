#!/usr/bin/env bash
# Checks, on a machine with a GPU, all that is claimed of computing there, in the order of what it
# teaches: the device, a first iteration, speed, every CUDA test, goldens at each precision, chains
# beside the CPU's, each kernel's duration, NVIDIA's memory and race checkers, the same bits again,
# JAX and PyTorch. Needs a build and this folder, and no compiler, network or root. Goes on after a
# failure; what is missing is a line of the table, and what no longer fits the time too.
# usage: gpu_check.sh [--build FOLDER|ARCHIVE.tar.xz] [--minutes N] [--second] [--only PART,...]
#                     [--mnist FOLDER] [--all]
#   --build    a build folder, or what tools/pack_build.sh has made on another machine [build/cuda]
#   --minutes  all is over and written after that long [no limit]; 9 are enough for the first parts
#   --second   what nine minutes have no room for: initcheck, synccheck, other kernels' memcheck and
#              racecheck, more training, learning, batches and experiments, PyTorch in every mode
#   --only     some of iteration,benchmark,goldens,chains,tests,kernels,memcheck,racecheck,bits,
#              jax,pytorch; of the second: initcheck,synccheck,others,training,learning,batches,modes
#   --mnist    a folder with MNIST; otherwise it makes itself some images
#   --all      also the tests of the CPU, with no GPU visible
# In $OUT, or build/gpu_check, at any moment, even if it is killed: table.txt, log.txt and
# gpu_check.json with the parts and all figures.
# Exit status: 0 all that ran is well, 1 something failed, 2 wrong command line, 3 no GPU can be used.
set -uo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

usage() {
  echo "gpu_check: $*; usage: gpu_check.sh [--build FOLDER|ARCHIVE.tar.xz] [--minutes N]" \
    "[--second] [--only PART,...] [--mnist FOLDER] [--all]" >&2
  exit 2
}

first=(iteration benchmark goldens chains tests kernels memcheck racecheck bits jax pytorch)
second=(initcheck synccheck others training learning batches modes)
parts=("${first[@]}")
build=build/cuda minutes='' mnist='' all=false
while [[ $# -gt 0 ]]; do
  case $1 in
    --build) build=${2:?} && shift ;;
    --minutes) minutes=${2:?} && shift ;;
    --mnist) mnist=${2:?} && shift ;;
    --second) parts=("${second[@]}") ;;
    --only)
      IFS=, read -ra parts <<<"${2:?}"
      shift
      ;;
    --all) all=true ;;
    *) usage "unknown argument $1" ;;
  esac
  shift
done
for part in "${parts[@]}"; do
  [[ " ${first[*]} ${second[*]} " == *" $part "* ]] ||
    usage "there is no part $part"
done
[[ $minutes =~ ^([0-9]+(\.[0-9]+)?)?$ ]] || usage "minutes are a number, not $minutes"
! $all || parts+=(cpu)

out=${OUT:-build/gpu_check}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 143' TERM INT
export TMPDIR=$work XDG_CACHE_HOME=$work/cache # plans are measured anew, and once for all programs
plans=$XDG_CACHE_HOME/ebm/cudnn
export EBM_TEST_PLANS=$plans

# Seconds of this shell's. The last are for writing what has been learned.
deadline=1000000000
if [[ -n $minutes ]]; then
  seconds=$(awk -v minutes="$minutes" 'BEGIN { print int(60 * minutes) }')
  deadline=$((seconds - (seconds < 100 ? seconds / 10 : 10)))
fi

# shellcheck source=tools/gpu_check/running.sh
source tools/gpu_check/running.sh
# shellcheck source=tools/gpu_check/machine.sh
source tools/gpu_check/machine.sh
# shellcheck source=tools/gpu_check/parts.sh
source tools/gpu_check/parts.sh
# shellcheck source=tools/benchmark/python_with.sh
source tools/benchmark/python_with.sh
# shellcheck source=tests/support/interrupted_runs.sh
source tests/support/interrupted_runs.sh
[[ -n $minutes ]] || patience=4

if [[ -f $build ]]; then
  mkdir "$work/build"
  tar -xJf "$build" -C "$work/build" || python3 -m tarfile -e "$build" "$work/build" || exit 2
  build=$work/build
fi
for file in ebm_train tests/cuda_tests.txt; do
  [[ -e $build/$file ]] ||
    usage "there is no $build/$file: build the preset cuda, or name a build with --build"
done
build=$(cd "$build" && pwd)
export EBM_TEST_DATA=$PWD/tests/data EBM_CONFIGS=$PWD/configs EBM_PROGRAMS=$build

# finish STATUS: the tables, and that status if anything failed.
finish() {
  local speed
  end_of_all
  speed=$(timeout 10 "$python" tools/benchmark/gpu_table.py "$json" 2>>"$log") &&
    printf '\n%s\n' "$speed" >>"$table"
  echo
  cat "$table"
  echo "in $out: table.txt, log.txt, gpu_check.json"
  [[ ! -e $work/failed ]] || exit "$1"
  exit 0
}

# Programs that keep a GPU busy with little, several at once; each has its share of the processors.
# What is measured is alone.
cores=$(env -u OMP_NUM_THREADS nproc) threads=${OMP_NUM_THREADS:-}
several_at_once() {
  local most=1
  case $1 in
    goldens | chains | tests | cpu) kind=tests most=$at_most ;;
    memcheck | racecheck | initcheck | synccheck | others) kind=sanitizers most=$((at_most / 2)) ;;
    *) kind=$1 ;;
  esac
  [[ $kind == "$kind_before" ]] || end_of_all
  kind_before=$kind
  at_once=$((cores / 2 < most ? cores / 2 : most))
  at_once=$((at_once < 1 ? 1 : at_once))
  unset OMP_NUM_THREADS
  [[ $most -gt 1 ]] || [[ -n $threads ]] || return 0
  export OMP_NUM_THREADS=${threads:-$((cores / at_once))} OMP_WAIT_POLICY=passive
}
kind_before=''

begin_records
[[ -z $minutes ]] || figures set "minutes=$minutes"
[[ -n $mnist ]] || make_images "$work/images"
begin device
check_device
choose_sizes
for part in "${parts[@]}"; do
  several_at_once "$part"
  begin "$part"
  "check_$part"
done
finish 1

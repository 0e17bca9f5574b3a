#!/usr/bin/env bash
# Checks, on a machine with a GPU, all that is claimed of computing there: the device, every CUDA
# test, goldens at each precision, chains beside the CPU's, NVIDIA's memory and race checkers,
# training, and speed. Needs a build and this folder, and no compiler, network or root. Goes on
# after a failure; a table comes last.
# usage: gpu_check.sh [--build FOLDER|ARCHIVE.tar.xz] [--mnist FOLDER] [--only PART,...] [--all]
#   --build   a build folder, or what tools/pack_build.sh has made on another machine [build/cuda]
#   --mnist   a folder with MNIST, for the training part; otherwise it makes itself some images
#   --only    some of tests,goldens,chains,memcheck,racecheck,initcheck,synccheck,training,benchmark
#   --all     also the tests of the CPU, with no GPU visible
# Logs, one for each part, and the table stay in $OUT, or build/gpu_check.
# Exit status: 0 all is well, 1 something failed, 2 wrong command line, 3 no GPU can be used.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
# shellcheck source=tests/interrupted_runs.sh
source tests/interrupted_runs.sh

usage() {
  echo "gpu_check: $*; usage: gpu_check.sh [--build FOLDER|ARCHIVE.tar.xz] [--mnist FOLDER]" \
    "[--only PART,...] [--all]" >&2
  exit 2
}

all_parts=(tests goldens chains memcheck racecheck initcheck synccheck training benchmark)
parts=("${all_parts[@]}")
build=build/cuda mnist='' all=false
while [[ $# -gt 0 ]]; do
  case $1 in
    --build) build=${2:?} && shift ;;
    --mnist) mnist=${2:?} && shift ;;
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
  [[ " ${all_parts[*]} " == *" $part "* ]] ||
    usage "there is no part $part"
done

out=${OUT:-build/gpu_check}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
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
export XDG_CACHE_HOME=$work/cache # plans are measured anew
table=$out/table.txt
printf '%-10s %-58s %-8s %7s\n' part what result seconds >"$table"
failures=0

# check PART WHAT COMMAND...: a line of the table; the output goes into the part's log as it comes.
# Status 77 of the command means that it was not run, for a reason which is the last line of its
# output.
check() {
  local part=$1 what=$2 begin=$SECONDS status=0 result=passed log=$out/$1.log
  shift 2
  printf '%s  %-10s %s\n' "$(date +%T)" "$part" "$what"
  echo "=== $what: $*" >>"$log"
  "$@" >>"$log" 2>&1 </dev/null || status=$?
  case $status in
    0) ;;
    77) result='not run' what+=" ($(tail -n 1 "$log"))" ;;
    *)
      result=FAILED
      failures=$((failures + 1))
      tail -n 15 "$log" | sed 's/^/    /'
      ;;
  esac
  printf '%-10s %-58s %-8s %7s\n' "$part" "$what" "$result" $((SECONDS - begin)) >>"$table"
  return "$status"
}

finish() {
  echo
  cat "$table"
  echo "logs: $out"
  [[ $failures -eq 0 ]] || exit "${1:-1}"
  exit 0
}

# Folders where CUDA's libraries may be: the toolkit's, the system's, those of pip's packages for
# any Python here, and conda's.
library_folders() {
  local python
  printf '%s\n' "${CUDA_HOME:-/nowhere}"/lib64 "${CUDA_PATH:-/nowhere}"/lib64 \
    /usr/local/cuda/lib64 /usr/local/cuda-*/lib64 /usr/lib/x86_64-linux-gnu \
    "${CONDA_PREFIX:-/nowhere}"/lib
  for python in python3 /opt/*/bin/python3 /opt/*/.venv/bin/python3 ~/*/bin/python3; do
    "$python" -c '
import glob, sysconfig
print("\n".join(glob.glob(sysconfig.get_path("purelib") + "/nvidia/*/lib")))' 2>/dev/null
  done
}

# Makes the loader find CUDA's libraries, where it does not already. PyTorch brings its own.
path_before=${LD_LIBRARY_PATH:-}
find_libraries() {
  local library folder found
  for library in libcudart libcudnn libcublas libcublasLt libnvrtc; do
    found=$(ldconfig -p 2>/dev/null | grep -m1 -F "$library.so" | sed 's/.*=> //') || found=''
    [[ -z $found ]] || found="$found (the loader's)"
    while [[ -z $found ]] && read -r folder; do
      for found in "$folder/$library".so.*; do
        [[ ! -e $found ]] || break
        found=''
      done
      [[ -z $found || :${LD_LIBRARY_PATH:-}: == *:$folder:* ]] ||
        export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder
    done < <(library_folders | awk '!seen[$0]++')
    echo "$library: ${found:-not found}"
  done
  echo "LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}"
}

# limited COMMAND...: ends it when it takes far longer than anything here should.
limit=300
limited() {
  timeout -k 10 "$limit" "$@"
}

# first_iteration NETWORK OPTION...: what a run of one iteration says about its device.
first_iteration() {
  local name=$1
  shift
  limited "$build/ebm_train" "$@" --device cuda --set train.iterations=1 --set langevin.steps=2 \
    --out "$work/first_$name"
}

check_device() {
  find_libraries
  check device "nvidia-smi" show_driver
  if ! check device "a toy network on the GPU" \
    first_iteration toy configs/quick/gmm_convergent.yaml --set landscape.every=0; then
    echo "gpu_check: no GPU can be used here: $(tail -n 1 "$out/device.log")" >&2
    finish 3
  fi
  grep -h ' on cuda:' "$work/first_toy/log.txt"
  # The emulator takes minutes for what a GPU does in a moment.
  ! grep -q 'emulated CUDA device' "$work/first_toy/log.txt" || emulated=true limit=900
  check device "a ConvNet on the GPU" \
    first_iteration convnet configs/quick/mnist.yaml "${images[@]}" --set train.batch_size=4
}
emulated=false

show_driver() {
  if ! command -v nvidia-smi; then
    echo "no nvidia-smi"
    return 77
  fi
  nvidia-smi
}

# every_test COMMAND...: of a program, none fails, and none is skipped.
every_test() {
  local status
  limited "$@" 2>&1 | tee "$work/gtest"
  status=${PIPESTATUS[0]}
  if grep -q '^\[  SKIPPED \]' "$work/gtest"; then
    echo "skipped tests"
    return 1
  fi
  grep -q '^\[  PASSED  \] [1-9]' "$work/gtest" || [[ $status -ne 0 ]] || status=1
  return "$status"
}

# gtest NAME FILTER
gtest() {
  every_test "$build/tests/$1" --gtest_filter="${2:-*}"
}

# cuda_tests KIND PATTERN: "name filter" of the build's CUDA tests of a kind whose names match.
cuda_tests() {
  grep -E "^($1) $2" "$build/tests/cuda_tests.txt" | cut -d' ' -f2-
}
apart='(.*golden.*|cpu_gpu_chains_test|learning_test_on_cuda) ' # in parts of their own

check_tests() {
  local name filter
  while read -r name filter; do
    check tests "$name" gtest "$name" "$filter"
  done < <(cuda_tests 'kernel|network' '.*' | grep -vE "^$apart")
  $all || return 0
  for name in "$build"/tests/*_test; do
    name=${name##*/}
    grep -qE "^[a-z]+ $name " "$build/tests/cuda_tests.txt" ||
      CUDA_VISIBLE_DEVICES='' check tests "$name, CPU" gtest "$name"
  done
}

check_goldens() {
  local name filter
  while read -r name filter; do
    check goldens "$name" gtest "$name" "$filter"
  done < <(cuda_tests network '.*golden')
}

check_chains() {
  check chains "200 steps on CPU and GPU, three networks" gtest cpu_gpu_chains_test
}

# Where compute-sanitizer is: on the path, with the toolkit, or in a pip or conda package.
find_sanitizer() {
  local folder
  while read -r folder; do
    for folder in "$folder" "$folder/../bin" "$folder/../compute-sanitizer"; do
      if [[ -x $folder/compute-sanitizer ]]; then
        echo "$folder/compute-sanitizer"
        return
      fi
    done
  done < <(tr : '\n' <<<"$PATH" && library_folders)
  return 1
}

# sanitize TOOL: the tests of every kernel.
sanitize() {
  local sanitizer name filter options=()
  if ! sanitizer=$(find_sanitizer); then
    check "$1" "every kernel's tests" no_sanitizer
    return
  fi
  # A test asks for more memory than there is, which memcheck would count as an error.
  [[ $1 != memcheck ]] || options=(--report-api-errors no)
  while read -r name filter; do
    check "$1" "$name" every_test "$sanitizer" --tool "$1" --error-exitcode 9 "${options[@]}" \
      "$build/tests/$name" --gtest_filter="${filter:-*}"
  done < <(cuda_tests kernel '.*')
}
no_sanitizer() {
  echo "no compute-sanitizer"
  return 77
}
check_memcheck() { sanitize memcheck; }
check_racecheck() { sanitize racecheck; }
check_initcheck() { sanitize initcheck; }
check_synccheck() { sanitize synccheck; }

# train NAME OPTION...: a whole run.
train() {
  local name=$1
  shift
  limited "$build/ebm_train" "$@" --device cuda --quiet --out "$work/$name"
}

# train_again NAME OPTION...: the run once more; the same bits, but for the process's own files.
train_again() {
  local name=$1
  rm -rf "$work/again"
  train again "${@:2}" && differences "$work/$name" "$work/again"
}

# train_killed NAME OPTION...: the run killed after its first state is saved, and gone on with.
train_killed() {
  local name=$1 pid end=$((SECONDS + limit))
  shift
  rm -rf "$work/killed"
  "$build/ebm_train" "$@" --device cuda --quiet --out "$work/killed" &
  pid=$!
  until [[ -e $work/killed/checkpoints/latest ]] || ! kill -0 "$pid" 2>/dev/null ||
    ((SECONDS > end)); do
    sleep 0.02
  done
  if ! kill -KILL "$pid" 2>/dev/null; then
    echo "the run ended before it could be killed"
    return 1
  fi
  wait "$pid" 2>/dev/null
  limited "$build/ebm_train" --resume "$work/killed" --quiet &&
    differences "$work/$name" "$work/killed"
}

# run_thrice WHAT NAME OPTION...
run_thrice() {
  local what=$1
  shift
  check training "$what" train "$@" || return
  check training "$what: again, the same bits" train_again "$@"
  check training "$what: killed and resumed, the same bits" train_killed "$@"
}

# Images of bars, upright and level, in MNIST's format, 560 of them.
make_images() {
  local dark bright i at row line
  dark=$(printf '\\0%.0s' {1..28})
  bright=$(printf '\\377%.0s' {1..28})
  mkdir -p "$1"
  {
    printf '\0\0\010\003\0\0\002\060\0\0\0\034\0\0\0\034'
    for i in {0..559}; do
      at=$((i % 25))
      for row in {0..27}; do
        line=$dark
        if ((i % 2)); then
          line=${dark:0:at * 2}'\377\377\377\377'${dark:at * 2 + 8}
        elif ((row >= at && row < at + 4)); then
          line=$bright
        fi
        printf '%b' "$line"
      done
    done
  } >"$1/train-images-idx3-ubyte"
}
images=(--set "data.path=${mnist:-$work/images}")

check_training() {
  local toy=() digits=() published=(--set train.iterations=20 --set checkpoint.every=10) precision
  if $emulated; then
    toy=(--set train.iterations=6 --set langevin.steps=20 --set checkpoint.every=2
      --set landscape.every=3 --set landscape.kde.chains=10 --set landscape.resolution=20
      --set train.batch_size=10)
    digits=(--set train.iterations=4 --set langevin.steps=2 --set checkpoint.every=2
      --set network.features=2 --set train.batch_size=4)
    published=("${digits[@]}")
  fi
  run_thrice "quick/gmm_convergent" toy configs/quick/gmm_convergent.yaml "${toy[@]}"
  run_thrice "quick/mnist" digits configs/quick/mnist.yaml "${images[@]}" "${digits[@]}"
  for precision in fp32 tf32 bf16; do
    run_thrice "mnist_convergent, $precision" "nonlocal_$precision" configs/mnist_convergent.yaml \
      "${images[@]}" --set precision="$precision" --set longrun.every=0 "${published[@]}"
  done
  $emulated || check training "d_s, r_s and KL of the toy experiments" gtest learning_test_on_cuda
}

check_benchmark() {
  local sizes=(--batches 100 --precisions tf32)
  ! $emulated || sizes=(--batches 2 --precisions fp32)
  PYTORCH_LIBRARY_PATH=$path_before PYTORCH_SECONDS=400 check benchmark "speed, in short" \
    benchmark "${sizes[@]}" && cat "$work/table"
}
benchmark() {
  local status=0
  tools/benchmark/gpu.sh --build "$build" --out "$work" "$@" >"$work/table" || status=$?
  cat "$work"/{ebm_gpu.json,pytorch_gpu.json,pytorch_gpu.log,table} 2>/dev/null
  return "$status"
}

rm -f "$out"/*.log
[[ -n $mnist ]] || make_images "$work/images"
check_device
for part in "${parts[@]}"; do
  "check_$part"
done
finish

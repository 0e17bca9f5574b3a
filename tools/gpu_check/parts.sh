# What gpu_check.sh checks, part by part.
# shellcheck shell=bash disable=SC2034,SC2154

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

# The sizes that the emulator can compute in seconds; a GPU computes the published ones.
choose_sizes() {
  images=(--set "data.path=${mnist:-$work/images}")
  batch=100 toy=() digits=() published=(--set train.iterations=20 --set checkpoint.every=10)
  precisions=(tf32 bf16 fp32) experiments=gmm_convergent,gmm_nonconvergent,mnist_convergent
  experiments+=,cifar10_nonconvergent,cifar10_oscillate,flowers_convergent
  at_most=8 # tests at once
  if $emulated; then
    batch=2 precisions=(tf32) experiments=flowers_convergent at_most=2
    toy=(--set train.iterations=6 --set langevin.steps=20 --set checkpoint.every=2
      --set landscape.every=3 --set landscape.kde.chains=10 --set landscape.resolution=20
      --set train.batch_size=10)
    digits=(--set train.iterations=4 --set langevin.steps=2 --set checkpoint.every=2
      --set network.features=2 --set train.batch_size=4)
    published=("${digits[@]}")
  fi
}

# A published network's first iteration, and how long it takes from the program's start: the plans of
# cuDNN that no one has measured here yet are in it.
check_iteration() {
  check iteration "mnist_convergent, from start to its first iteration's end" timed_iteration
}
timed_iteration() {
  local begin=${EPOCHREALTIME/./} took
  first_iteration nonlocal configs/mnist_convergent.yaml "${images[@]}" --set longrun.every=0 \
    "${published[@]}" || return
  took=$(((${EPOCHREALTIME/./} - begin) / 1000))
  printf '{"experiment": "mnist_convergent", "iterations": 1, "seconds": %d.%03d}\n' \
    $((took / 1000)) $((took % 1000)) | figures add start
}

# speed BATCHES PRECISION WHAT
speed() {
  figures_of ebm "$build/ebm_gpu_benchmark" "$1" "$2" "$plans" "$3"
}

# A process each: an error of one network's kernels is an end of CUDA in it.
check_benchmark() {
  local precision all
  all=$(IFS=, && echo "${precisions[*]}")
  check benchmark "the GPU's limits" speed "$batch" "$all" limits
  check benchmark "toy: a step" speed "$batch" fp32 toy
  for precision in "${precisions[@]}"; do
    check benchmark "vanilla, $precision: a step" speed "$batch" "$precision" vanilla
    check benchmark "nonlocal, $precision: a step" speed "$batch" "$precision" nonlocal
    [[ $precision != tf32 ]] ||
      check benchmark "whole iterations, $precision" speed "$batch" "$precision" "$experiments"
  done
}

check_batches() {
  local batches=1,16,1000 name
  ! $emulated || batches=1
  for name in toy vanilla nonlocal; do
    check batches "$name: a step" speed "$batches" fp32,tf32,bf16 "$name"
  done
  for name in gmm_convergent gmm_nonconvergent mnist_convergent cifar10_nonconvergent \
    cifar10_oscillate flowers_convergent; do
    check batches "$name: an iteration" speed "$batch" fp32,tf32,bf16 "$name"
  done
}

# every_test COMMAND...: of a program, none fails, and none is skipped.
every_test() {
  local file status
  file=$(mktemp "$work/gtest.XXXXXX")
  limited "$@" 2>&1 | tee "$file"
  status=${PIPESTATUS[0]}
  if grep -q '^\[  SKIPPED \]' "$file"; then
    echo "skipped tests"
    return 1
  fi
  grep -q '^\[  PASSED  \] [1-9]' "$file" || [[ $status -ne 0 ]] || status=1
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
together='(attention|nonlocal_block|direct_convolution|perceptron|activation|langevin)' # threads that cooperate

check_goldens() {
  local name filter
  while read -r name filter; do
    start goldens "$name" gtest "$name" "$filter"
  done < <(cuda_tests network '.*golden')
}

check_chains() {
  start chains "200 steps on CPU and GPU, three networks" gtest cpu_gpu_chains_test
}

# Those that take longest or teach most come first.
check_tests() {
  local name filter
  while read -r name filter; do
    start tests "$name" gtest "$name" "$filter"
  done < <({
    cuda_tests network '(energy|cudnn)'
    cuda_tests kernel "$together"
    cuda_tests 'kernel|network' '.*'
  } | grep -vE "^$apart" | awk '!seen[$0]++')
}

check_cpu() {
  local name
  for name in "$build"/tests/*_test; do
    name=${name##*/}
    grep -qE "^[a-z]+ $name " "$build/tests/cuda_tests.txt" ||
      CUDA_VISIBLE_DEVICES='' start cpu "$name, no GPU visible" gtest "$name"
  done
}

# sanitize PART TOOL PATTERN: the tests of kernels, those that match or, after "!", that do not.
sanitize() {
  local part=$1 tool=$2 pattern=${3#!} sanitizer name filter options=() invert=()
  if ! sanitizer=$(find_tool compute-sanitizer); then
    check "$part" "$tool of kernels" absent "no compute-sanitizer"
    return
  fi
  # A test asks for more memory than there is, which memcheck would count as an error.
  [[ $tool != memcheck ]] || options=(--report-api-errors no)
  [[ $3 != !* ]] || invert=(-v)
  while read -r name filter; do
    start "$part" "$tool: $name" every_test "$sanitizer" --tool "$tool" --error-exitcode 9 \
      "${options[@]}" "$build/tests/$name" --gtest_filter="${filter:-*}"
  done < <(cuda_tests kernel '.*' | grep -E "${invert[@]}" "^$pattern")
}
check_memcheck() { sanitize memcheck memcheck "$together"; }
check_racecheck() { sanitize racecheck racecheck "$together"; }
check_initcheck() { sanitize initcheck initcheck '.*'; }
check_synccheck() { sanitize synccheck synccheck '.*'; }
check_others() {
  sanitize others memcheck "!$together"
  sanitize others racecheck "!$together"
}

# How long each kernel of a few steps takes, with what the kernel before it has left in the caches.
check_kernels() {
  local ncu network precision
  if ! ncu=$(find_tool ncu); then
    check kernels "each kernel's duration" absent "no ncu"
    return
  fi
  for precision in "${precisions[@]}"; do
    for network in vanilla nonlocal; do
      check kernels "each kernel's duration, $network, $precision" \
        kernel_times "$ncu" "$network" "$precision"
    done
  done
}
kernel_times() {
  local file=$work/ncu_$2_$3.csv status=0
  limited "$1" --profile-from-start off --graph-profiling node --csv --log-file "$file" \
    --metrics gpu__time_duration.sum --clock-control none --cache-control none \
    "$build/ebm_gpu_benchmark" "$batch" "$3" "$plans" "profile/$2" >"$file.printed" ||
    status=$?
  cat "$file.printed"
  grep -v '^"' "$file"
  if grep -q ERR_NVGPUCTRPERM "$file"; then
    echo "ncu: ERR_NVGPUCTRPERM: an administrator must allow access to performance counters"
    return 77
  fi
  "$python" tools/gpu_check/kernel_times.py "$file" <"$file.printed" >"$file.json" ||
    status=$((status ? status : 1))
  figures add kernels <"$file.json"
  return "$status"
}

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
  local name=$1 pid end=$((SECONDS + $(seconds_left)))
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

# run_thrice PART WHAT NAME OPTION...
run_thrice() {
  local part=$1 what=$2
  shift 2
  check "$part" "$what" train "$@" || return
  check "$part" "$what: again, the same bits" train_again "$@"
  check "$part" "$what: killed and resumed, the same bits" train_killed "$@"
}

nonlocal_thrice() {
  run_thrice "$1" "mnist_convergent, $2" "nonlocal_$2" configs/mnist_convergent.yaml \
    "${images[@]}" --set precision="$2" --set longrun.every=0 "${published[@]}"
}

check_bits() {
  run_thrice bits "quick/gmm_convergent" toy configs/quick/gmm_convergent.yaml "${toy[@]}"
  nonlocal_thrice bits tf32
}

check_training() {
  run_thrice training "quick/mnist" digits configs/quick/mnist.yaml "${images[@]}" "${digits[@]}"
  nonlocal_thrice training fp32
  nonlocal_thrice training bf16
}

check_learning() {
  if $emulated; then
    check learning "d_s, r_s and KL of the toy experiments" absent "the emulator would take hours"
  else
    check learning "d_s, r_s and KL of the toy experiments" gtest learning_test_on_cuda
  fi
}

# other NAME MODULE SCRIPT ARGUMENT...: another program's figures, with the libraries it brings.
other() {
  local name=$1 found
  if ! found=$(python_with "$2"); then
    echo "no Python here has $2; name one in PYTHON"
    return 77
  fi
  LD_LIBRARY_PATH=$path_before figures_of "$name" "$found" "tools/benchmark/$3" "${@:4}"
}

# A check each, with the part's time each: what no longer fits is cut short alone.
check_pytorch() {
  local precision
  for precision in "${precisions[@]}"; do
    begin pytorch
    check pytorch "PyTorch, $precision: a step, eager and compiled" other pytorch torch \
      pytorch_gpu_steps.py "$batch" "$precision" --networks vanilla,nonlocal --experiments '' \
      --modes 'eager;compiled, reduce-overhead'
  done
}

check_jax() {
  check jax "JAX: the toy chain" other jax jax jax_toy_chain.py "$batch"
}

check_modes() {
  check modes "PyTorch in every mode" other pytorch torch pytorch_gpu_steps.py "$batch" \
    tf32,bf16,fp32
}

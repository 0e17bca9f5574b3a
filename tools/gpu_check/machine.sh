# What gpu_check.sh finds on the machine: CUDA's libraries, NVIDIA's tools, the device.
# shellcheck shell=bash disable=SC2034,SC2154

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

# Makes the loader find CUDA's libraries, where it does not already. PyTorch and JAX bring their own.
path_before=${LD_LIBRARY_PATH:-}
find_libraries() {
  local library folder found known
  known=$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p 2>/dev/null)
  for library in libcudart libcudnn libcublas libcublasLt libnvrtc; do
    found=$(awk -v name="$library.so" 'index($1, name) == 1 { print $NF; exit }' <<<"$known")
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
  ldd "$build/ebm_train" | grep 'not found'
  if [[ -d $build/plans ]]; then
    export EBM_CUDNN_PLANS=$build/plans
    echo "cuDNN's plans made ahead, by what they are for:"
    find "$build/plans" -type f -exec sed -n '2{s/, convolution.*//p;q}' {} \; | sort | uniq -c
  else
    echo "no plans of cuDNN made ahead: there is no $build/plans"
  fi
}

show_driver() {
  if ! command -v nvidia-smi; then
    echo "no nvidia-smi"
    return 77
  fi
  limited nvidia-smi
}

# find_tool NAME: a tool of NVIDIA's: on the path, with the toolkit, or in a pip or conda package.
find_tool() {
  local folder
  while read -r folder; do
    for folder in "$folder" "$folder/../bin" "$folder/../compute-sanitizer"; do
      if [[ -x $folder/$1 ]]; then
        echo "$folder/$1"
        return
      fi
    done
  done < <(tr : '\n' <<<"$PATH" && library_folders && printf '%s\n' /opt/nvidia/nsight-compute/*)
  return 1
}

# absent TEXT...: for check: why something is not run.
absent() {
  echo "$*"
  return 77
}

# Where there is no GPU that computes there is nothing to check.
emulated=false
check_device() {
  check device libraries find_libraries
  check device nvidia-smi show_driver
  if ! check device "a toy network on the GPU" \
    first_iteration toy configs/quick/gmm_convergent.yaml --set landscape.every=0 \
    --set langevin.steps=2; then
    echo "gpu_check: no GPU can be used here: $(tail -n 1 "$output")" >&2
    finish 3
  fi
  grep -h ' on cuda:' "$work/first_toy/log.txt"
  figures set "device=$(sed -n 's/.* on \(cuda:.*\), [0-9]* threads.*/\1/p' "$work/first_toy/log.txt")" \
    "program=$("$build/ebm_train" --version)"
  # The emulator takes minutes for what a GPU does in a moment.
  ! grep -q 'emulated CUDA device' "$work/first_toy/log.txt" || emulated=true patience=15
}

# first_iteration NAME OPTION...: a run of one iteration.
first_iteration() {
  local name=$1
  shift
  limited "$build/ebm_train" "$@" --device cuda --set train.iterations=1 --out "$work/first_$name"
}

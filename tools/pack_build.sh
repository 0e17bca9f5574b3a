#!/usr/bin/env bash
# Packs what tools/gpu_check.sh needs of a CUDA build, so that it runs on a machine with a GPU and
# nothing else: programs and CUDA tests, stripped, every shared library they need but glibc's and
# CUDA's, which are found there, and cuDNN's plans for the published networks. (glibc there must be
# as new as here. Plans are for the version of cuDNN that is here, and are otherwise compiled there.)
# usage: pack_build.sh [--gpu NAME,...] [BUILD [ARCHIVE]]      [h100 (and h200)] [build/cuda, BUILD.tar.xz]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
gpus=h100
if [[ ${1:-} == --gpu && $# -ge 2 ]]; then
  gpus=$2
  shift 2
fi
build=${1:-build/cuda}
archive=${2:-$build.tar.xz}
list=$build/tests/cuda_tests.txt
if [[ $# -gt 2 || ! -f $list ]]; then
  echo "pack_build: no $list: build the preset cuda first;" \
    "usage: pack_build.sh [--gpu NAME,...] [BUILD [ARCHIVE]]" >&2
  exit 2
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/tests" "$folder/lib"

strip_into() {
  if [[ ! -x $build/$1 ]]; then
    echo "pack_build: there is no $build/$1: build it first" >&2
    exit 1
  fi
  strip -o "$folder/$1" "$build/$1"
}
for program in ebm_train ebm_sample ebm_score ebm_gpu_benchmark; do
  strip_into "$program"
done
while read -r _ test _; do
  strip_into "tests/$test"
done <"$list"
cp "$list" "$folder/tests/"

# For the published networks in the batches of the check's benchmark and of the stored tensors, which
# hold what these plans compute to account. Plans that are there already are not compiled again.
plans=$build/plans/${gpus//,/_}
make_plans() {
  find "$plans" -name 'plan_*.*' -delete 2>/dev/null || true # parts that a program was ended at
  "$build/ebm_plans" configs/cifar10_nonconvergent.yaml configs/flowers_convergent.yaml \
    --gpu "$gpus" --batch 100,5 --precision tf32,bf16,fp32 --out "$plans" &&
    "$build/ebm_plans" configs/quick/mnist.yaml --gpu "$gpus" --out "$plans"
}
if [[ -x $build/ebm_plans ]]; then # a build without cuDNN has none
  echo "pack_build: compiling cuDNN's plans for $gpus, the first time for some minutes" >&2
  if make_plans; then
    cp -r "$plans" "$folder/plans"
  else
    echo "pack_build: no plans could be made, so they will be compiled on the GPU's machine" >&2
  fi
fi

# The programs look for libraries in lib beside them: see CMAKE_BUILD_RPATH.
ldd "$folder"/ebm_* "$folder"/tests/*_test "$folder"/tests/*_on_cuda |
  awk '$3 ~ "^/" {print $3}' | sort -u |
  grep -vE '/(ld-linux-x86-64|lib(c|m|dl|rt|pthread|resolv))\.so|/cuda[^/]*/' |
  while read -r library; do
    cp -L "$library" "$folder/lib/"
  done
if ldd "$folder"/ebm_* | grep 'not found' | grep -v 'libcu'; then
  echo "pack_build: these libraries are not on this machine" >&2
  exit 1
fi

# Most of every program is the kernels that all of them have: a window over all is worth the time.
tar -C "$folder" -cf - . | xz --threads=1 --lzma2=preset=2,dict=128MiB >"$archive"
du -sch --apparent-size "$folder"/* | sed "s|$folder/||"
echo "$archive: $(du -h --apparent-size "$archive" | cut -f1)"

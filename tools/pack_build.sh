#!/usr/bin/env bash
# Packs what tools/gpu_check.sh needs of a CUDA build, so that it runs on a machine with a GPU and
# nothing else: programs and CUDA tests, stripped, and every shared library they need but glibc's
# and CUDA's, which are found there. (glibc there must be as new as here.)
# usage: pack_build.sh [BUILD [ARCHIVE]]      [build/cuda, BUILD.tar.xz]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=${1:-build/cuda}
archive=${2:-$build.tar.xz}
list=$build/tests/cuda_tests.txt
if [[ $# -gt 2 || ! -f $list ]]; then
  echo "pack_build: no $list: build the preset cuda first;" \
    "usage: pack_build.sh [BUILD [ARCHIVE]]" >&2
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
du -ch --apparent-size "$folder"/ebm_* "$folder/tests" "$folder/lib" | sed "s|$folder/||"
echo "$archive: $(du -h --apparent-size "$archive" | cut -f1)"

#!/usr/bin/env bash
# Fetches a data set: see the help below. Installed, this is ebm_fetch_dataset.
# Exit status: 0 the data set is there; 1 it could not be fetched; 2 wrong command line.
set -euo pipefail
program=${0##*/}

help() {
  cat <<END
Usage: $program mnist|cifar10|flowers102 [DIR]

Fetches a data set, checks its SHA-256, and puts it into DIR; by default into data/mnist and so on
of the working directory, where the configurations look for it. What is there already is not
fetched again; a download that was cut short is resumed.

  $program mnist

Options:
  -h, --help   Print this help message and exit

Environment:
  EBM_MIRROR=URL         Fetch from that folder instead (file:///... too)
  EBM_MIRROR_SUMS=FILE   Check against these sums, written by sha256sum, instead of the known ones
END
}

usage() {
  echo "usage: $program mnist|cifar10|flowers102 [DIR]" >&2
  exit 2
}
if [[ ${1:-} == --help || ${1:-} == -h ]]; then
  help
  exit
fi
[[ $# -eq 1 || $# -eq 2 ]] || usage

# The official place first, then mirrors. Sums are those that TensorFlow Datasets publishes.
case $1 in
  mnist)
    files=(train-images-idx3-ubyte.gz t10k-images-idx3-ubyte.gz)
    sums=(440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609
      8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6)
    places=(http://yann.lecun.com/exdb/mnist https://storage.googleapis.com/cvdf-datasets/mnist
      https://ossci-datasets.s3.amazonaws.com/mnist)
    ;;
  cifar10)
    files=(cifar-10-binary.tar.gz)
    sums=(c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd)
    places=(https://www.cs.toronto.edu/~kriz)
    ;;
  flowers102)
    files=(102flowers.tgz)
    sums=(2d01ecc807db462958cfe3d92f57a8c252b4abd240eb955770201e45f783b246)
    places=(https://www.robots.ox.ac.uk/~vgg/data/flowers/102)
    ;;
  *) usage ;;
esac
folder=${2:-data/$1}
if [[ -n ${EBM_MIRROR:-} ]]; then
  places=("${EBM_MIRROR%/}")
  if [[ -n ${EBM_MIRROR_SUMS:-} ]]; then
    for i in "${!files[@]}"; do
      sums[i]=$(awk -v file="${files[i]}" '$2 == file { print $1 }' "$EBM_MIRROR_SUMS")
      if [[ -z ${sums[i]} ]]; then
        echo "$program: EBM_MIRROR_SUMS=$EBM_MIRROR_SUMS has no sum of ${files[i]}" >&2
        exit 2
      fi
    done
  fi
fi

# has_sum FILE SUM
has_sum() { [[ -f $1 ]] && echo "$2  $1" | sha256sum --check --status; }

# fetch FILE SUM
fetch() {
  local file=$1 sum=$2 place fetched
  ! has_sum "$file" "$sum" || return 0
  if ! command -v curl >/dev/null; then
    echo "$program: curl is not installed (Debian package curl)" >&2
    exit 1
  fi
  for place in "${places[@]}"; do
    echo "$program: $place/$file"
    fetched=true
    curl --fail --location --retry 3 --connect-timeout 20 --continue-at - --output "$file.part" \
      "$place/$file" || fetched=false
    if has_sum "$file.part" "$sum"; then
      mv "$file.part" "$file"
      return
    fi
    if $fetched; then
      echo "$program: what came is not $file (SHA-256 $sum)" >&2
      rm -f "$file.part"
    fi
  done
  echo "$program: could not fetch $file; run this again to resume, or delete" \
    "$PWD/$file.part to start over" >&2
  exit 1
}

mkdir -p "$folder"
cd "$folder"
for i in "${!files[@]}"; do
  fetch "${files[i]}" "${sums[i]}"
done
if [[ $1 == cifar10 && ! -f test_batch.bin ]]; then
  unpacked=$(mktemp -d ./unpacked.XXXXXX)
  trap 'rm -rf "$unpacked"' EXIT
  tar -xzf "${files[0]}" -C "$unpacked" --strip-components=1 --no-same-owner
  mv "$unpacked"/data_batch_*.bin .
  mv "$unpacked"/test_batch.bin .  # the last: it is looked for above
fi
echo "$program: $PWD is ready"

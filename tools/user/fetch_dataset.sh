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
    file=train-images-idx3-ubyte.gz
    sum=440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609
    places=(http://yann.lecun.com/exdb/mnist https://storage.googleapis.com/cvdf-datasets/mnist
      https://ossci-datasets.s3.amazonaws.com/mnist)
    ;;
  cifar10)
    file=cifar-10-binary.tar.gz
    sum=c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd
    places=(https://www.cs.toronto.edu/~kriz)
    ;;
  flowers102)
    file=102flowers.tgz
    sum=2d01ecc807db462958cfe3d92f57a8c252b4abd240eb955770201e45f783b246
    places=(https://www.robots.ox.ac.uk/~vgg/data/flowers/102)
    ;;
  *) usage ;;
esac
folder=${2:-data/$1}
if [[ -n ${EBM_MIRROR:-} ]]; then
  places=("${EBM_MIRROR%/}")
  if [[ -n ${EBM_MIRROR_SUMS:-} ]]; then
    sum=$(awk -v file="$file" '$2 == file { print $1 }' "$EBM_MIRROR_SUMS")
    if [[ -z $sum ]]; then
      echo "$program: EBM_MIRROR_SUMS=$EBM_MIRROR_SUMS has no sum of $file" >&2
      exit 2
    fi
  fi
fi

has_sum() { [[ -f $1 ]] && echo "$sum  $1" | sha256sum --check --status; }

mkdir -p "$folder"
cd "$folder"
if ! has_sum "$file"; then
  if ! command -v curl >/dev/null; then
    echo "$program: curl is not installed (Debian package curl)" >&2
    exit 1
  fi
  for place in "${places[@]}"; do
    echo "$program: $place/$file"
    fetched=true
    curl --fail --location --retry 3 --connect-timeout 20 --continue-at - --output "$file.part" \
      "$place/$file" || fetched=false
    if has_sum "$file.part"; then
      mv "$file.part" "$file"
      break
    fi
    if $fetched; then
      echo "$program: what came is not $file (SHA-256 $sum)" >&2
      rm -f "$file.part"
    fi
  done
fi
if ! has_sum "$file"; then
  echo "$program: could not fetch $file; run this again to resume, or delete" \
    "$PWD/$file.part to start over" >&2
  exit 1
fi
if [[ $1 == cifar10 && ! -f data_batch_5.bin ]]; then
  unpacked=$(mktemp -d ./unpacked.XXXXXX)
  trap 'rm -rf "$unpacked"' EXIT
  tar -xzf "$file" -C "$unpacked" --strip-components=1 --no-same-owner
  mv "$unpacked"/data_batch_*.bin .  # the fifth, which is looked for above, is the last
fi
echo "$program: $PWD is ready"

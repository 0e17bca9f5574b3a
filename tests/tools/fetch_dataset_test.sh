#!/usr/bin/env bash
# fetch_dataset.sh with a mirror of small files on this machine; needs no network.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit
# shellcheck source=tests/support/checks.sh
source ../support/checks.sh
fetch=$PWD/../../tools/user/fetch_dataset.sh

mirror=$scratch/mirror
data=$scratch/data
mkdir "$mirror"
export EBM_MIRROR=file://$mirror EBM_MIRROR_SUMS=$scratch/sums

# publish FILE...: their sums, as they are now, are the right ones.
publish() { (cd "$mirror" && sha256sum "$@" >"$EBM_MIRROR_SUMS"); }

digits=train-images-idx3-ubyte.gz
test_digits=t10k-images-idx3-ubyte.gz
head -c 5000 /dev/urandom >"$mirror/$digits"
head -c 900 /dev/urandom >"$mirror/$test_digits"
publish $digits $test_digits

# A file of another content is refused, and nothing of it stays.
sed 's/^....../000000/' "$scratch/sums" >"$scratch/other_sums"
EBM_MIRROR_SUMS=$scratch/other_sums run 1 "$fetch" mnist "$data"
says "what came is not $digits" "SHA-256 000000"
equal "$(ls -A "$data")" ""

# So is the right name with the published sums, which the mirror's file does not have.
EBM_MIRROR_SUMS='' run 1 "$fetch" mnist "$data"
says "what came is not $digits"
equal "$(ls -A "$data")" ""

# A missing file is named.
EBM_MIRROR=file://$scratch/none run 1 "$fetch" mnist "$data"
says "could not fetch $digits"
equal "$(ls -A "$data")" ""

# A download that was cut short goes on where it ended: the mirror's first bytes are not read again.
head -c 2000 "$mirror/$digits" >"$data/$digits.part"
cp "$mirror/$digits" "$scratch/whole"
printf 'changed' | dd of="$mirror/$digits" conv=notrunc status=none
run 0 "$fetch" mnist "$data"
says "is ready"
equal "$(ls -A "$data")" $test_digits$'\n'$digits
cmp "$data/$digits" "$scratch/whole" || fail "the resumed file is another"
cmp "$data/$test_digits" "$mirror/$test_digits" || fail "the test set is another"

# What is there is not fetched again: no mirror is needed.
EBM_MIRROR=file://$scratch/none run 0 "$fetch" mnist "$data"
equal "$(cd "$data" && pwd -P)" "$(sed -n 's/^fetch_dataset.sh: \(.*\) is ready$/\1/p' <<<"$output")"
equal "$(wc -l <<<"$output")" 1

# But a file that is damaged is.
cp "$scratch/whole" "$mirror/$digits"
echo more >>"$data/$digits"
run 0 "$fetch" mnist "$data"
cmp "$data/$digits" "$scratch/whole" || fail "the damaged file is still there"

# A folder of before the test set was fetched gets that alone.
rm "$data/$test_digits" "$mirror/$digits"
run 0 "$fetch" mnist "$data"
cmp "$data/$test_digits" "$mirror/$test_digits" || fail "the test set is another"

# CIFAR-10 is unpacked, and again where that was interrupted.
archive=cifar-10-binary.tar.gz
batches=$scratch/cifar-10-batches-bin
mkdir "$batches"
for i in 1 2 3 4 5; do echo "batch $i" >"$batches/data_batch_$i.bin"; done
echo "held out" >"$batches/test_batch.bin"
tar -czf "$mirror/$archive" -C "$scratch" cifar-10-batches-bin
publish $archive
for _ in 1 2; do
  run 0 "$fetch" cifar10 "$data/cifar"
  equal "$(cat "$data"/cifar/data_batch_{1,2,3,4,5}.bin)" "$(cat "$batches"/data_batch_{1,2,3,4,5}.bin)"
  equal "$(cat "$data/cifar/test_batch.bin")" "held out"
  equal "$(find "$data/cifar" -type f | wc -l)" 7
  rm "$data/cifar/test_batch.bin"
done

# Flowers keep the archive.
echo flowers >"$mirror/102flowers.tgz"
publish 102flowers.tgz
run 0 "$fetch" flowers102 "$data/flowers"
equal "$(ls -A "$data/flowers")" 102flowers.tgz

# By default it goes where the configurations look: data/NAME of the working directory.
looked=$(sed -n 's/^data:.* path: \([^,]*\),.*/\1/p' ../../configs/flowers_convergent.yaml)
cd "$scratch" || exit
run 0 "$fetch" flowers102
says "$PWD/data/flowers102 is ready"
equal "$looked" data/flowers102
[[ -f $looked/102flowers.tgz ]] || fail "the configuration finds nothing"
run 0 "$fetch" --help
says "Usage: fetch_dataset.sh mnist" "working directory" "EBM_MIRROR_SUMS"

# Where there is no curl.
mkdir "$scratch/bin"
for tool in awk bash mkdir sha256sum; do ln -s "$(command -v $tool)" "$scratch/bin"; done
PATH=$scratch/bin run 1 "$fetch" flowers102 "$data/none"
says "curl is not installed"

# Wrong command lines.
run 2 "$fetch"
says usage
run 2 "$fetch" imagenet "$data/imagenet"
says usage
run 2 "$fetch" mnist "$data" more
run 2 "$fetch" mnist "$data"
says "no sum of $digits"
[[ ! -e $data/imagenet ]] || fail "there is a folder of an unknown data set"

finish

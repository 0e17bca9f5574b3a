#!/usr/bin/env bash
# What a user does with the installed programs, in a new working directory; ends at what fails.
# Plots are drawn where gnuplot is, and a data set is fetched where curl is.
# usage: installed_use.sh PREFIX      they are in PREFIX/bin, and on the path
set -euxo pipefail
prefix=$1
configs=$prefix/share/ebm/configs

ebm_train "$configs/quick/gmm_convergent.yaml" --out run --set train.iterations=2 \
  --set train.batch_size=3 --set langevin.steps=2 --set landscape.resolution=20 \
  --set landscape.kde.chains=50
ebm_train --resume run --set train.iterations=3
network=run/checkpoints/net_000003.safetensors

cat >sampling.yaml <<END
name: chains
seed: 1
device: auto
precision: fp32
network: {kind: toy}
start: gaussian
sample: {checkpoint: $network, train_epsilon: 0.125, epsilon: 0.1, steps: 2, chains: 3}
log: {every: 1}
END
ebm_sample sampling.yaml --out chains
ebm_evaluate run --set evaluate.chains=30 --set evaluate.steps=40 --set evaluate.every=4 \
  --set evaluate.annealing_chains=40 --set evaluate.annealing_steps=60 --set evaluate.samples=100
test -s run/evaluation/report.html

ebm_convert_checkpoint $network net.pth
ebm_convert_checkpoint net.pth net.safetensors --network toy
ebm_score --checkpoint $network --input chains/states_last.npy --energy f.npy
ebm_score --checkpoint net.safetensors --input chains/states_last.npy --energy converted.npy
cmp f.npy converted.npy

if command -v gnuplot; then
  rm -f run/*.png run/*.pdf
  ebm_plot run
  test -s run/diagnosis.png
fi

if command -v curl; then
  mkdir mirror
  echo digits >mirror/train-images-idx3-ubyte.gz
  echo test >mirror/t10k-images-idx3-ubyte.gz
  (cd mirror && sha256sum -- *) >sums
  EBM_MIRROR=file://$PWD/mirror EBM_MIRROR_SUMS=sums ebm_fetch_dataset mnist
  for file in mirror/*; do cmp "$file" "data/mnist/${file##*/}"; done
fi

for program in "$prefix"/bin/ebm_*; do
  name=${program##*/}
  [[ $name != *.so ]] || continue # of ebm_plans
  [[ $("$name" --help) == *"$name"* ]]
  # shellcheck source=tools/user/completion/ebm.bash
  (source "$prefix/share/bash-completion/completions/$name" && complete -p "$name")
done

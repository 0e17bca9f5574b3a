# For scripts that stop training runs and compare them with runs that were never stopped.

# write_configurations FOLDER: toy.yaml and digits.yaml, small experiments with all that a run
# keeps: a bank, Adam's moments, landscapes, long-run chains.
write_configurations() {
  cat >"$1/toy.yaml" <<END
name: toy
data: {kind: gmm}
network: {kind: toy}
optimizer: {kind: sgd, lr: 0.1, lr_min: 0.01, lr_decay: 0.99}
langevin: {epsilon: 0.125, steps: 20, init: persistent, bank_size: 100}
train: {iterations: 8, batch_size: 50}
log: {every: 2}
checkpoint: {every: 3, keep: 2}
landscape: {every: 5, resolution: 10, kde: {chains: 50}}
END
  cat >"$1/digits.yaml" <<END
name: digits
data: {kind: mnist, path: $1/digits, noise: 0.03}
network: {kind: nonlocal, features: 2}
optimizer: {kind: adam, lr: 0.0001}
langevin: {epsilon: 0.01, steps: 3, init: persistent}
train: {iterations: 6, batch_size: 4}
log: {every: 2}
checkpoint: {every: 3, keep: 2}
longrun: {every: 3, steps: 40, init: data}
END
  mkdir "$1/digits"
  {
    printf '\0\0\010\003\0\0\0\050\0\0\0\034\0\0\0\034' # 40 images of 28×28
    head -c $((40 * 28 * 28)) < <(seq 100000)
  } >"$1/digits/train-images-idx3-ubyte"
}

# differences RUN OTHER: what of two runs is not the same bits, but for what tells of the process, and
# for what gnuplot draws beside it: a plot under way when a run is killed is drawn by ebm_plot.
differences() {
  diff -rq -x log.txt -x lock -x 'environment*' -x tensorboard -x '*.tmp' -x '*.part.*' \
    -x '*.pdf' -x diagnosis.png -x landscape.png -x 'landscape_*.png' -x 'energy_*.png' \
    -x 'gradient_*.png' "$1" "$2"
}

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

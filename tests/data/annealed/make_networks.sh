#!/usr/bin/env bash
# Trains the networks of this folder, small ones, by the four toy configurations: 2,000 iterations.
# usage: make_networks.sh EBM_TRAIN
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
layers='{layers: [{linear: {outputs: 8}}, leaky_relu, {linear: {outputs: 16}}, leaky_relu,
  {linear: {outputs: 16}}, leaky_relu, {linear: {outputs: 16}}, leaky_relu, {linear: {outputs: 1}}]}'
runs=$(mktemp -d)
trap 'rm -rf "$runs"' EXIT
for toy in gmm_convergent gmm_nonconvergent rings_convergent rings_nonconvergent; do
  awk -v layers="$layers" '{ print /^network:/ ? "network: " layers : $0 }' \
    "$here/../../../configs/$toy.yaml" >"$runs/$toy.yaml"
  "$1" "$runs/$toy.yaml" --out "$runs/$toy" --quiet --threads 1 --device cpu --set seed=1 \
    --set train.iterations=2000 --set checkpoint.every=2000 --set landscape.every=100000
  cp "$runs/$toy/checkpoints/net_002000.safetensors" "$here/$toy.safetensors"
done

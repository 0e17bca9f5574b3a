#!/usr/bin/env bash
# A program that was built with CUDA, where there is no usable GPU: --device auto computes on the
# CPU and says so, --device cuda says why it cannot.
# gpu_check.sh stops with that reason.
# usage: cuda_fallback_test.sh EBM_TRAIN CONFIG
set -uo pipefail
# shellcheck source=tests/support/checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../support/checks.sh"
train=$1
config=$2
export CUDA_VISIBLE_DEVICES=''

run 2 "$train" "$config" --device cuda --out "$scratch/cuda"
says 'device cuda:' 'use --device cpu or auto'
[[ $output == *'NVIDIA driver'* || $output == *CUDA* ]] || fail "no reason in: $output"
[[ ! -e $scratch/cuda ]] || fail 'a run folder was made'

short=(--set train.iterations=1 --set langevin.steps=2 --set landscape.every=0)
run 0 "$train" "$config" --device auto --out "$scratch/auto" "${short[@]}"
says 'on the CPU' 'no CUDA device:'

export OUT=$scratch/check
run 3 "$(dirname "${BASH_SOURCE[0]}")/../../../tools/gpu_check.sh" --build "$(dirname "$train")"
says 'no GPU can be used here' 'use --device cpu or auto'
finish

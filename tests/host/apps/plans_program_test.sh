#!/usr/bin/env bash
# ebm_plans: what it refuses, and plans of a small network for a GPU that is not here.
# usage: plans_program_test.sh FOLDER      where the program is
set -uo pipefail
programs=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")" || exit
# shellcheck source=tests/support/checks.sh
source ../../support/checks.sh
configs=$(cd ../../../configs && pwd)
cd "$scratch" || exit
plans() { run "$1" "$programs/ebm_plans" "${@:2}"; }

plans 2 "$configs/quick/mnist.yaml"
says "gpu is required"
plans 2 "$configs/quick/mnist.yaml" --gpu h1000
says "h1000 not in {a100,h100,h100-pcie,h200,b200}"
plans 2 "$configs/quick/mnist.yaml" --gpu h100 --precision half
says "half not in {fp32,tf32,bf16}"
plans 2 "$configs/quick/mnist.yaml" --gpu h100 --batch 0
says "--batch"
plans 2 none.yaml --gpu h100
says none.yaml
plans 2 "$configs/quick/mnist.yaml" --gpu h100 --set network.kernels=3
says network.kernels
HOME='' XDG_CACHE_HOME='' plans 2 "$configs/quick/mnist.yaml" --gpu h100
says "name a folder with --out"

plans 0 "$configs/gmm_convergent.yaml" --gpu h100 --out out
says "need no plans"
[[ ! -e out ]] || fail "a folder for no plans"

small=("$configs/quick/mnist.yaml" --set network.features=8 --batch 2 --gpu h100)
touch file
status=0
output=$("$programs/ebm_plans" "${small[@]}" --out out 2>&1) || status=$?
if [[ $status -eq 1 && $output == *'libcud'*'was not found'* ]]; then
  [[ $failures -eq 0 ]] || exit 1
  echo "skipped: $output"
  exit 77
fi
equal "$status" 0
says "plans are in out"
made=$(find out -type f | wc -l)
[[ $made -gt 0 ]] || fail "no plans in out"
plans 0 "${small[@]}" --out out
says ": 0 plans compiled, 0.0 MB; $made were there"
plans 1 "${small[@]}" --out file
says "file: a plan could not be written"
finish

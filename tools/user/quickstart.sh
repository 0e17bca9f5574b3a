#!/usr/bin/env bash
# From a fresh clone to a learned energy: installs what is missing, builds, trains the short
# gmm_convergent experiment into a new folder under runs/, and says what to look at.
# usage: quickstart.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

tools/setup.sh
echo "Building ebm_train and ebm_score (the first time takes about two minutes)"
cmake --preset cpu >/dev/null
cmake --build build/cpu --target ebm_train ebm_score

run=runs/quickstart-$(date +%Y%m%d-%H%M%S)
echo "Training into $run"
build/cpu/ebm_train configs/quick/gmm_convergent.yaml --out "$run"

echo
awk -F, -v last=5 '
  NR == 1 { for (i = 1; i <= NF; ++i) column[$i] = i; next }
  { iteration = $column["iteration"]; kl[++n] = $column["kl_learned"] }
  END {
    if (n < last) last = n
    for (i = n - last + 1; i <= n; ++i) sum += kl[i]
    printf "KL(truth || learned) after %d iterations: %.3f nats\n", iteration, kl[n]
    printf "  %.3f on average over the last %d landscapes (it jumps between them); %.3f at the start\n",
           sum / last, last, kl[1]
  }' "$run/landscape/landscape.csv"
pictures=("$run"/landscape/landscape_*.png)
echo "Run folder: $run"
echo "Pictures to look at (truth, learned density, short-run chains; logarithms below):"
echo "  ${pictures[0]}   at the start"
echo "  ${pictures[-1]}   at the end"

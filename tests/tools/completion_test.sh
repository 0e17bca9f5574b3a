#!/usr/bin/env bash
# The completions of tools/user/completion/ebm.bash.
# usage: completion_test.sh FOLDER      where the programs are
set -uo pipefail
programs=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")" || exit
# shellcheck source=tests/support/checks.sh
source ../support/checks.sh
# shellcheck source=tools/user/completion/ebm.bash
source ../../tools/user/completion/ebm.bash
configs=$(cd ../../configs && pwd)

# completes PROGRAM WORDS... : what the last word, which may be empty, can become, sorted.
# PROGRAM is a path, or one of the programs.
completes() {
  local program=$1
  [[ $program == /* ]] || program=$programs/$program
  shift
  COMP_WORDS=("$program" "$@")
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  _ebm "$program" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
  replies=$(printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort | paste -sd ' ')
}

for program in ebm_train ebm_sample ebm_evaluate ebm_plot ebm_score; do
  # However the help is laid out, an option is a word in it that begins with --. The examples, which
  # are before "Usage", are left out: they may not show all.
  options=$("$programs/$program" --help | sed -n '/Usage/,$p' | grep -oE -- '--[a-z-]+' |
    LC_ALL=C sort -u | paste -sd ' ')
  completes "$program" --
  equal "$replies" "$options"
  [[ $replies == *--help*--version* ]] || fail "$program: no --help or no --version in: $replies"
  equal "$(complete -p "$program")" "complete -F _ebm $program"
done
scripts=$(cd ../../tools/user && pwd)
for script in convert_checkpoint.py fetch_dataset.sh; do
  options=$("$scripts/$script" --help | grep -oE -- '^  (-h, )?--[a-z-]+' | sed 's/.*--/--/' |
    LC_ALL=C sort -u | paste -sd ' ')
  completes "$scripts/$script" --
  equal "$replies" "$options"
  [[ $replies == *--help* ]] || fail "$script: no --help in: $replies"
  for name in "$script" "ebm_${script%.*}"; do # in the sources, and installed
    equal "$(complete -p "$name")" "complete -F _ebm $name"
  done
done
completes ebm_train --o
equal "$replies" --out
completes ebm_train a.yaml --de
equal "$replies" --device

mkdir "$scratch/folder" "$scratch/a folder"
touch "$scratch"/{a.yaml,b.yml,c.json,d.txt,e.npy,f.safetensors,g.pth}
cd "$scratch" || exit
folders='a folder folder'
for program in ebm_train ebm_sample ebm_evaluate; do
  completes "$program" ''
  networks=$([[ $program == ebm_train ]] || echo "f.safetensors ")
  equal "$replies" "a folder a.yaml b.yml c.json ${networks}folder"
  completes "$program" a.yaml --out ''
  equal "$replies" "$folders"
  completes "$program" --device c
  equal "$replies" "cpu cuda"
  completes "$program" --threads ''
  equal "$replies" ""
done
completes ebm_plot ''
equal "$replies" "$folders"
completes ebm_score --checkpoint ''
equal "$replies" "a folder f.safetensors folder"
completes ebm_score ''
equal "$replies" "a folder f.safetensors folder"
completes ebm_score f.safetensors ''
equal "$replies" "a folder a.yaml b.yml c.json d.txt e.npy f.safetensors folder g.pth"
completes ebm_score --input e
equal "$replies" e.npy
completes ebm_score folder e.npy --against e
equal "$replies" e.npy
completes ebm_score folder e.npy --layers ''
equal "$replies" "a folder a.yaml b.yml folder"
completes "$scripts/convert_checkpoint.py" ''
equal "$replies" "a folder f.safetensors folder g.pth"
completes "$scripts/convert_checkpoint.py" --entry ''
equal "$replies" ""
completes "$scripts/fetch_dataset.sh" ''
equal "$replies" "cifar10 flowers102 mnist"
completes "$scripts/fetch_dataset.sh" mnist ''
equal "$replies" "$folders"
completes ebm_score --network ''
equal "$replies" "nonlocal toy vanilla"

# Keys are those of the configuration on the command line, however its sections are written.
cat >keys.yaml <<'YAML'
name: keys  # data: {none: 1}
langevin:
  steps: 5
  clamp: [-1, 1]
landscape:
  kde:
    chains: 7
  every: 3
log: {every: 10, kde: {bandwidth: 0.1}, last: 2}
network:
  layers:
    - conv: {outputs: 3}
YAML
completes ebm_train keys.yaml --set ''
equal "$replies" "landscape.every= landscape.kde.chains= langevin.clamp= langevin.steps= log.every= log.kde.bandwidth= log.last= name="
completes ebm_sample --quiet --out folder keys.yaml --set langevin.s
equal "$replies" langevin.steps=
completes ebm_sample keys.yaml --set sample.checkpoint = f
equal "$replies" "f.safetensors folder"
completes ebm_train --set ''
equal "$replies" ""

# Every key found in a configuration that is shipped is one of the program's: a wrong value of it is
# what is complained of.
for config in "$configs"/{quick/gmm_convergent,flowers_convergent,sampling/flowers_convergent}.yaml; do
  program=ebm_train
  [[ $config != */sampling/* ]] || program=ebm_sample
  completes "$program" "$config" --set ''
  [[ ${#COMPREPLY[@]} -gt 10 ]] || fail "$config: only ${#COMPREPLY[@]} keys: $replies"
  for key in "${COMPREPLY[@]}"; do
    run 2 "$programs/$program" "$config" --set "$key{}"
    says "${key%=}"
    [[ $output != *"unknown key"* ]] || fail "$config: $output"
  done
done

finish

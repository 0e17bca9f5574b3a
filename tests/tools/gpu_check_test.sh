#!/usr/bin/env bash
# gpu_check.sh: how it runs its parts, with stand-ins for a build, NVIDIA's tools and PyTorch; and,
# with a build whose GPU is emulated, that all it has written is whole whenever it is killed.
# usage: gpu_check_test.sh EMULATED_BUILD
# shellcheck disable=SC2016 # bodies of stand-ins are quoted
set -uo pipefail
export LC_ALL=C
# shellcheck source=tests/support/checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/checks.sh"
emulated_build=$1
check=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/tools/gpu_check.sh
export OUT=$scratch/out
calls=$scratch/calls
build=$scratch/build
py=$(python3 -c 'import sys; print(sys.executable)') || exit
mkdir -p "$scratch/bin" "$build/tests" "$scratch/tmp"
export TMPDIR=$scratch/tmp # where what is killed leaves its own

# stand_in FILE BODY: a program that notes when it is called and when it ends, and does BODY.
stand_in() {
  printf '#!/bin/bash\necho "begin ${0##*/} $*" >>"%s"\ntrap '\''echo "end ${0##*/}" >>"%s"'\'' EXIT\n%s\n' \
    "$calls" "$calls" "$2" >"$1"
  chmod +x "$1"
}
# table_has REGEX: a line of the table.
table_has() { grep -qE -- "$1" "$OUT/table.txt" || fail "no '$1' in: $(cat "$OUT/table.txt")"; }
# log_has TEXT
log_has() { grep -qF -- "$1" "$OUT/log.txt" || fail "no '$1' in: $(cat "$OUT/log.txt")"; }
# figure EXPRESSION VALUE: of the JSON file, which Python knows as kept.
figure() {
  equal "$("$py" -c 'import json, sys
kept = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$OUT/gpu_check.json" "$1" 2>&1)" "$2"
}
# whole [WHEN]: at most six files, JSON that can be read, lines that were not cut.
whole() {
  local file
  [[ $(find "$OUT" -mindepth 1 | wc -l) -le 6 ]] || fail "files: ${1:-} $(ls -A "$OUT")"
  for file in "$OUT"/*; do
    [[ -s $file ]] || continue # not yet begun
    [[ $(tail -c 1 "$file" | od -An -c) == *'\n'* ]] || fail "$file ends within a line ${1:-}"
    [[ $file != *.json ]] || "$py" -m json.tool "$file" >"$scratch/json" 2>&1 ||
      fail "$file: $(cat "$scratch/json")"
  done
  [[ -s $OUT/table.txt ]] || return
  if grep -vE '^(part  |[a-z]+ .* (passed|FAILED|not run|cut short) +[0-9.]+($|  ))' \
    <(sed '/^$/,$d' "$OUT/table.txt") >"$scratch/lines"; then
    fail "${1:-} the table's lines: $(cat "$scratch/lines")"
  fi
}

# kill_session ID: all its processes.
kill_session() {
  local file line fields
  for _ in 1 2 3; do
    for file in /proc/[0-9]*/stat; do
      read -r line 2>/dev/null <"$file" || continue
      read -ra fields <<<"${line##*) }" # state, parent, group, session
      [[ ${fields[3]} != "$1" ]] || kill -KILL "$(cut -d/ -f3 <<<"$file")" 2>/dev/null
    done
  done
}

# What stands in for a build: programs that say and take what theirs would.
stand_in "$build/ebm_train" '[[ $1 != --version ]] || { echo ebm 0; exit; }
[[ -z ${NO_GPU:-} ]] || { echo "ebm_train: no device"; exit 2; }
while [[ $1 != --out ]]; do shift; done
mkdir -p "$2"
echo "info: toy on cuda:0 (a stand-in), 1 threads, results in $2" >"$2/log.txt"
echo "plans: ${EBM_CUDNN_PLANS:-none}"'
stand_in "$build/ebm_gpu_benchmark" 'printf "{\"figure\": \"device\", \"name\": \"a stand-in\"}\n"
case $4 in
  vanilla) printf "{\"figure\": \"step\", \"network\": \"vanilla\", \"precision\": \"$2\", \"batch\": 100, \"seconds\": 1e-4, \"operations\": 1e9}\n" ;;
  nonlocal)
    printf "{\"figure\": \"step\", \"network\": \"nonlocal\", \"precision\": \"$2\", \"batch\": 100, \"error\": \"no plan\"}\n"
    exit 1
    ;;
  profile/*) printf "{\"figure\": \"profile\", \"network\": \"${4#*/}\", \"precision\": \"$2\", \"batch\": 100, \"steps\": 2}\n" ;;
esac'
passes='sleep 1; echo "[  PASSED  ] 3 tests."'
for name in one_golden_test energy_test attention_test activation_test langevin_test last_test; do
  stand_in "$build/tests/$name" "$passes"
done
stand_in "$build/tests/failing_test" 'echo "[  FAILED  ] Kernels.Wrong (3 ms)"; exit 1'
stand_in "$build/tests/skipping_test" 'echo "[  SKIPPED ] Kernels.NoGpu"; echo "[  PASSED  ] 0 tests."'
cat >"$build/tests/cuda_tests.txt" <<END
kernel last_test *
kernel attention_test 
kernel failing_test *Wrong*
kernel skipping_test 
network one_golden_test *
network energy_test *
kernel activation_test 
kernel langevin_test 
END
stand_in "$scratch/bin/nproc" 'echo 6'
stand_in "$scratch/bin/ldconfig" 'for name in cudart cudnn cublas cublasLt nvrtc; do
  echo "	lib$name.so.9 (libc6,x86-64) => /somewhere/lib$name.so.9"
done
seq -f "	libother%.0f.so (libc6) => /other" 20000'
export PATH=$scratch/bin:$PATH PYTHON=$scratch/bin/torch_python

# No GPU; a wrong command line.
NO_GPU=1 run 3 "$check" --build "$build" --minutes 1
says 'no GPU can be used here: ebm_train: no device'
whole
run 2 "$check" --build "$build" --only nothing
says 'there is no part nothing'
run 2 "$check" --build "$build" --minutes soon

# What is missing is a line; the loader's libraries are found, however long its list is.
stand_in "$PYTHON" 'exit 1'
begin=${EPOCHREALTIME/./}
run 0 "$check" --build "$build" --only iteration,kernels,memcheck,racecheck
took=$(((${EPOCHREALTIME/./} - begin) / 1000000)) # more than it takes to begin
minutes=$(awk -v took="$took" 'BEGIN { print (2 * took + 6) / 60 }')
whole
log_has 'libcudnn: /somewhere/libcudnn.so.9 (the loader'
log_has 'no plans of cuDNN made ahead'
log_has 'plans: none'
table_has '^kernels .* not run .* no ncu$'
table_has '^memcheck .* not run .* no compute-sanitizer$'
figure 'kept["device"]' 'cuda:0 (a stand-in)'
figure '[part["reason"] for part in kept["parts"] if part["part"] == "racecheck"]' "['no compute-sanitizer']"
figure 'kept["figures"]["start"][0]["experiment"]' mnist_convergent

# With all of NVIDIA's tools: several at once, and what fails hides nothing of the others.
mkdir "$build/plans"
stand_in "$scratch/bin/ncu" 'while [[ $1 != */ebm_gpu_benchmark ]]; do
  [[ $1 != --log-file ]] || log=$2
  shift
done
"$@"
cat >"$log" <<END
==PROF== Connected to process 1
"ID","Kernel Name","Block Size","Grid Size","Metric Name","Metric Unit","Metric Value"
"0","void pool(float*, int)","(256, 1, 1)","(8, 1, 1)","gpu__time_duration.sum","ns","4,000"
"1","void pool(float*, int)","(256, 1, 1)","(8, 1, 1)","gpu__time_duration.sum","ns","5,000"
"2","langevin","(256, 1, 1)","(9, 1, 1)","gpu__time_duration.sum","us","20.5"
END'
stand_in "$scratch/bin/compute-sanitizer" 'while [[ $1 != */tests/* ]]; do shift; done; exec "$@"'
stand_in "$PYTHON" 'case $1 in
  *pytorch*) printf "{\"figure\": \"step\", \"network\": \"vanilla\", \"precision\": \"tf32\", \"batch\": 100, \"mode\": \"eager\", \"seconds\": 3e-4}\n" && exec sleep 600 ;;
  *jax*) echo "JAX sees no gpu"; exit 77 ;;
esac'
run 1 "$check" --build "$build" --only benchmark,kernels,memcheck,jax,tests,goldens
whole
log_has "plans made ahead, by what they are for:"
table_has '^benchmark +vanilla, tf32: a step +passed'
table_has '^benchmark +nonlocal, tf32: a step +FAILED .*no plan'
table_has '^benchmark +vanilla, fp32: a step +passed'
figure '[("seconds" in f, f.get("error")) for f in kept["figures"]["ebm"] if f.get("network") == "nonlocal"]' \
  "[(False, 'no plan'), (False, 'no plan'), (False, 'no plan')]"
table_has '^tests +attention_test +passed'
table_has '^tests +failing_test +FAILED .* Kernels.Wrong$'
table_has '^tests +skipping_test +FAILED .* skipped tests$'
table_has '^goldens +one_golden_test +passed'
table_has '^memcheck +memcheck: langevin_test +passed'
table_has '^jax .* not run .* JAX sees no gpu$'
table_has '^kernels +each kernel.s duration, nonlocal, bf16 +passed'
figure '[(k["kernel"], k["launches"], k["mean_us"]) for k in kept["figures"]["kernels"] if (k["network"], k["precision"]) == ("vanilla", "tf32")]' \
  "[('langevin', 1, 20.5), ('void pool(float*, int)', 2, 4.5)]"
table_has '^Kernels of a step of vanilla, bf16, batch 100: 15 µs in all; the step takes 100 µs.$'
table_has '^\| langevin \| \(9, 1, 1\) \| 0.5 \| 20.5 \| 10.2 \| 69.5% \|$'
table_has '^\| pool \| \(8, 1, 1\) \| 1 \| 4.5 \| 4.5 \| 30.5% \|$'
most=$(grep -E ' (\w+)_test' "$calls" | awk '/^begin/ { now++ } /^end/ { now-- } now > most { most = now } END { print most }')
[[ $most -ge 2 && $most -le 3 ]] || fail "$most tests at once, of 6 processors"
figure 'len(kept["parts"])' "$(($(sed '/^$/,$d' "$OUT/table.txt" | wc -l) - 1))"

# What hangs is ended when all time is up, and its figures are kept; what comes after it is not run,
# which is no failure.
run 0 "$check" --build "$build" --minutes "$minutes" --only pytorch,jax
whole
table_has '^pytorch .* cut short .* no time left$'
table_has '^jax .* not run .* no time left$'
figure 'kept["figures"]["pytorch"][0]["seconds"]' 0.0003

# A part that passes its own limit, long before all time is up, has failed, and so has a program
# beside others, even if it will not end.
(
  cd "$(dirname "$check")/.." || exit
  out=$OUT work=$scratch deadline=1000
  # shellcheck source=tools/gpu_check/running.sh
  source tools/gpu_check/running.sh
  begin_records
  at_once=2 seconds_of[short]=3
  begin short
  check short many bash -c 'seq 5000; printf "not ended"' >/dev/null
  start short hanging limited bash -c 'trap "" TERM; while :; do sleep 1; done' >/dev/null
  start short beside limited sleep 0.1
  end_of_all
  check short next limited true
) >"$scratch/said"
whole
table_has '^short +hanging +FAILED .* ended after [1-9]\.[0-9] s$'
table_has '^short +beside +passed'
equal "$(grep -c '^short, many: ' "$OUT/log.txt")" 2051
log_has 'short, many: not ended'
table_has '^short +next +not run .* no time left$'

# The file of figures is whole whenever it is read, and two writers lose none of each other's.
rm -rf "$OUT" && mkdir "$OUT"
for name in one other; do
  seq -f '{"number": %.0f}' 100 |
    "$py" -S "${check%/*}/benchmark/figures.py" "$OUT/gpu_check.json" add $name >/dev/null &
done
"$py" - "$OUT/gpu_check.json" >"$scratch/said" 2>&1 <<'END' || fail "$(cat "$scratch/said")"
import json, os, sys, time
end, count = time.time() + 60, 0
while count < 200 and time.time() < end:
    if os.path.exists(sys.argv[1]):
        with open(sys.argv[1]) as file:
            count = sum(map(len, json.load(file)["figures"].values()))
sys.exit(count != 200)
END
wait

# Killed at any moment, all processes of it: what there is by then is whole. The last time it is
# killed in its benchmark, whose first figures are kept.
for moment in 0 1 2 benchmark; do
  rm -rf "$OUT"
  setsid "$check" --build "$emulated_build" --only iteration,benchmark,chains &>"$scratch/said" &
  disown
  if [[ $moment == benchmark ]]; then
    for _ in {1..600}; do
      sleep 0.1
      ! grep -qs '"figure": "step"' "$OUT/gpu_check.json" || break
    done
  else
    moment+=.$((RANDOM % 10))
    sleep "$moment"
  fi
  kill_session $!
  [[ ! -d $OUT ]] || whole "killed at $moment"
done
figure '[f["network"] for f in kept["figures"]["ebm"] if f["figure"] == "step"][0]' toy
figure 'kept["figures"]["start"][0]["iterations"]' 1
finish

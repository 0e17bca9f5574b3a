# How gpu_check.sh runs what it checks: within limits of time, several at once, and with all that is
# learned in the table, the log and the JSON file the moment it is known. What it needs: $out, $work,
# $deadline in seconds of this shell's.
# shellcheck shell=bash disable=SC2034,SC2154

python=$(python3 -c 'import sys; print(sys.executable)' 2>/dev/null) || python=python3
table=$out/table.txt log=$out/log.txt json=$out/gpu_check.json

begin_records() {
  rm -f "$table" "$log" "$json"
  printf '%-10s %-58s %-9s %7s  %s\n' part what result seconds reason >"$table"
  : >"$log"
  figures set "begun=$(date +'%F %T')"
}

# figures VERB WORD...: see tools/benchmark/figures.py.
figures() {
  "$python" -S tools/benchmark/figures.py "$json" "$@" 2>>"$log"
}

# The seconds that each part may take at a GPU where every second counts; $patience times that
# otherwise.
declare -A seconds_of=(
  [device]=60 [iteration]=60 [benchmark]=150 [goldens]=150 [chains]=150 [tests]=180 [kernels]=75
  [memcheck]=100 [racecheck]=100 [bits]=75 [pytorch]=100 [jax]=45
  [initcheck]=150 [synccheck]=150 [others]=150 [training]=120 [learning]=200 [batches]=300
  [modes]=400 [cpu]=600
)
patience=1
part_end=0

# begin PART: its time runs from now.
begin() {
  part_end=$((SECONDS + seconds_of[$1] * patience))
}

seconds_left() {
  echo $(((part_end < deadline ? part_end : deadline) - SECONDS))
}

# limited COMMAND...: a program, and those it starts, ended when the part's time or all time is up.
limited() {
  local left
  left=$(seconds_left)
  ((left > 0)) || return 124
  timeout -k 2 "$left" "$@"
}

# keep LABEL FILE: the input goes into the file, and into the log line by line: 2,000 lines, and the
# last 50 of what has more (a wrong kernel may fail for each of a million numbers).
keep() {
  tee -p "$2" | sed -u -e "s|^|$1: |" -e 2000q >>"$log"
  if (($(wc -l <"$2") > 2000)); then
    { echo "..." && tail -n 50 "$2"; } | sed "s|^|$1: |" >>"$log"
  fi
  [[ -z $(tail -c 1 "$2") ]] || echo >>"$log" # a line that was not ended
  : >"$2.done"
}

# check PART WHAT COMMAND...: a line of the table. Status 77 of the command means that it was not
# run, for a reason which is the last line of its output; $output is a file with all of it.
check() {
  local part=$1 what=$2 begin=${EPOCHREALTIME/./} left pipe status=0
  shift 2
  output=$(mktemp "$work/output.XXXXXX")
  left=$(seconds_left)
  if ((left < 1)); then
    record "$part" "$what" 'not run' 0 'no time left'
    return 1
  fi
  printf '%s  %-10s %s\n' "$(date +%T)" "$part" "$what"
  # Nobody waits long for the log: a process that outlives its parent may hold the pipe.
  exec {pipe}> >(keep "$part, $what" "$output")
  echo "=== $*" >&"$pipe"
  "$@" >&"$pipe" 2>&1 </dev/null {pipe}>&- || status=$?
  exec {pipe}>&-
  for _ in {1..100}; do
    [[ ! -e $output.done ]] || break
    sleep 0.02
  done
  judge "$part" "$what" "$status" "$left" $(((${EPOCHREALTIME/./} - begin) / 100000))
  return "$status"
}

# judge PART WHAT STATUS LEFT TENTHS: what a command's status means that had LEFT seconds and took
# TENTHS of seconds.
judge() {
  local result=passed reason='' seconds=$(($5 / 10)).$(($5 % 10))
  case $3 in
    0) ;;
    77) result='not run' reason=$(tail -n 1 "$output") ;;
    124 | 137)
      result=FAILED reason="ended after $seconds s"
      ((SECONDS < deadline)) || result='cut short' reason='no time left'
      ;;
    *) result=FAILED reason=$(why_failed "$3") ;;
  esac
  record "$1" "$2" "$result" "$seconds" "${reason:0:200}"
  if [[ $result == FAILED ]]; then
    touch "$work/failed"
    tail -n 15 "$output" | sed 's/^/    /'
  fi
}

# why_failed STATUS: which of a program's tests, or the last it said.
why_failed() {
  local tests
  tests=$(sed -n 's/^\[  FAILED  \] \([^ ,]*\).*/\1/p' "$output" | sort -u | paste -sd' ')
  if [[ -n $tests ]]; then
    echo "$tests"
  else
    echo "status $1: $(grep -v '^===' "$output" | tail -n 1)"
  fi
}

# record PART WHAT RESULT SECONDS REASON
record() {
  printf '%-10s %-58s %-9s %7s%s\n' "${@:1:4}" "${5:+  $5}" >>"$table"
  figures part "$@" "$SECONDS"
}

# start PART WHAT COMMAND...: the same beside others, $at_once of them at most.
at_once=1
start() {
  while (($(jobs -rp | wc -l) >= at_once)); do
    wait -n
  done
  check "$@" &
}

# Waits for what was started (and not for what holds a pipe, as a bare wait would).
end_of_all() {
  local running
  while running=$(jobs -rp) && [[ -n $running ]]; do
    # shellcheck disable=SC2086
    wait $running
  done
}

# figures_of NAME COMMAND...: a program that prints figures, which are kept under that name as they
# come.
figures_of() {
  local name=$1
  shift
  limited "$@" | figures add "$name"
  return "${PIPESTATUS[0]}"
}

# What the tests in bash share; a script sources it, and ends with finish.
# shellcheck shell=bash

failures=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# fail TEXT...: counts a failure, and says on which line of the test.
fail() {
  echo "${BASH_SOURCE[-1]}:${BASH_LINENO[-2]}: $*" >&2
  failures=$((failures + 1))
}

# run STATUS COMMAND...: the command must end with that status; its output is then in $output.
run() {
  local expected=$1 status=0
  shift
  output=$("$@" 2>&1) || status=$?
  [[ $status -eq $expected ]] || fail "$* ended with $status, not $expected: $output"
}

# says TEXT...: the last command's output has every text.
says() {
  local text
  for text in "$@"; do
    [[ $output == *"$text"* ]] || fail "'$text' is missing in: $output"
  done
}

# equal ACTUAL EXPECTED
equal() {
  [[ $1 == "$2" ]] || fail "'$1' is not '$2'"
}

finish() {
  [[ $failures -eq 0 ]]
  exit
}

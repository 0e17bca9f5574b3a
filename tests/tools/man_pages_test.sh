#!/usr/bin/env bash
# The manual pages say what the programs' help does, and look as pages do.
# usage: man_pages_test.sh PAGES PROGRAMS      folders of the build
set -uo pipefail
pages=$1
programs=$2
# shellcheck source=tests/support/checks.sh
source "$(dirname "${BASH_SOURCE[0]}")/../support/checks.sh"
tools=$(dirname "${BASH_SOURCE[0]}")/../../tools
if ! command -v help2man man >/dev/null; then
  echo "skipped: there is no help2man or no man: apt-get install help2man man-db" >&2
  exit 77
fi

# check NAME PROGRAM STATUSES: the page of what is installed as NAME.
check() {
  local option
  equal "$(man --warnings --local-file "$pages/$1.1" 2>&1 >/dev/null)" ""
  run 0 env MANWIDTH=100 man --no-justification --local-file "$pages/$1.1"
  for section in NAME SYNOPSIS DESCRIPTION OPTIONS EXAMPLES 'EXIT STATUS' FILES; do
    [[ $output =~ (^|$'\n')"$section"$'\n' ]] || fail "$1: no section $section"
  done
  says "$1 - " "       $1 "
  [[ $output != *"${2##*/}"* || $1 == "${2##*/}" ]] || fail "$1: names ${2##*/}"
  while read -r option; do
    says "$option"
  done < <("$2" --help | grep -oE -- '^ +(-h, ?)?--[a-z-]+' | sed 's/.*--/--/')
  equal "$(sed -nE '/^EXIT STATUS/,/^FILES/s/^ {7}([0-9]+) .*/\1/p' <<<"$output" | paste -sd ' ')" \
    "$3"

  # The same page comes out on another day.
  run 0 env SOURCE_DATE_EPOCH=0 "$tools/package/man_page.sh" "$2" "$1" \
    "$(sed -n '1,/^\.TH/s/^\.TH .*"ebm \(.*\)" .*/\1/p' "$pages/$1.1")" "$scratch/page"
  cmp "$scratch/page" "$pages/$1.1" || fail "$1: the page is another"
}

check ebm_train "$programs/ebm_train" '0 1 2 3 4 75'
check ebm_sample "$programs/ebm_sample" '0 1 2 3 4 75'
check ebm_evaluate "$programs/ebm_evaluate" '0 1 2 3 4 75'
check ebm_score "$programs/ebm_score" '0 1 2 3'
check ebm_plot "$programs/ebm_plot" '0 1 2 3'
check ebm_convert_checkpoint "$tools/user/convert_checkpoint.py" '0 1 2 3'
check ebm_fetch_dataset "$tools/user/fetch_dataset.sh" '0 1 2'
finish

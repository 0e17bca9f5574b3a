#!/usr/bin/env bash
# Installs what is missing, builds everything and runs all tests. The last line is
# "N passed, N failed, N skipped"; the exit status is 0 if every test passed or was skipped, and at
# least one ran.
# usage: test.sh [PRESET]      PRESET is one of CMakePresets.json [cpu]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
preset=${1:-cpu}

tools/setup.sh
cmake --preset "$preset" >/dev/null
cmake --build "build/$preset"

report=$PWD/build/$preset/test_report.xml
rm -f "$report"
status=0
ctest --preset "$preset" --parallel "$(nproc)" --no-tests=error --output-junit "$report" || status=$?
[[ -f $report ]] || exit 1

# Not the report's own totals: they call a test whose program is missing skipped.
count() { grep -c "$1" "$report" || true; }
passed=$(count '<testcase .*status="run"')
skipped=$(($(count '<skipped message="SKIP_') + $(count '<testcase .*status="disabled"')))
failed=$(($(count '<testcase ') - passed - skipped))
echo "$passed passed, $failed failed, $skipped skipped"
[[ $status -ne 0 || $passed -gt 0 ]] || status=1
exit "$status"

#!/usr/bin/env bash
# Installs what is missing, builds everything and runs the tests. The last line is
# "N passed, N failed, N skipped"; the exit status is 0 if every test passed or was skipped, and at
# least one ran.
# usage: test.sh [--long] [PRESET [CTEST_OPTION...]]
#   --long   also the tests that train or kill programs for minutes (of a sanitizer, too)
#   PRESET   is one of CMakePresets.json [cpu]
#   test.sh cpu -R Philox      only the tests whose names match
# An emulated GPU runs threads and streams in the order that hides least, unless
# EBM_EMULATED_CUDA says another: ascending,at_once or shuffled,late.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
selection=(-LE '^long$')
if [[ ${1:-} == --long ]]; then
  selection=()
  shift
fi
if [[ ${1:-} == -* ]]; then
  echo "test: unknown option $1; usage: test.sh [--long] [PRESET [CTEST_OPTION...]]" >&2
  exit 2
fi
preset=${1:-cpu}
shift $(($# > 0))

tools/setup.sh "$preset"
cmake --preset "$preset" >/dev/null
cmake --build "build/$preset"
echo "test: built after $SECONDS s"

# Python with TensorBoard's reader of event files, in its own place; made anew when other versions
# are asked for.
python=build/python
if ! cmp -s tests/requirements.txt $python/requirements.txt; then
  rm -rf $python
  if python3 -m venv $python && $python/bin/pip --quiet --disable-pip-version-check --retries 1 \
    install --no-deps --requirement tests/requirements.txt; then
    cp tests/requirements.txt $python
  else
    echo "test: TensorBoard's reader could not be installed from PyPI; its test is skipped"
  fi
fi
PATH=$PWD/$python/bin:$PATH

# Many tests save files, which on a disk they would wait for; in memory they do not. Some of the
# files are scripts that are run.
shared_memory=/dev/shm
if [[ -z ${TMPDIR:-} && $(df --output=avail -k $shared_memory 2>/dev/null | tail -n 1) -gt 4000000 &&
  ! $(findmnt --noheadings --output OPTIONS --target $shared_memory) =~ noexec ]]; then
  TMPDIR=$(mktemp -d $shared_memory/ebm_tests.XXXXXX)
  export TMPDIR
  trap 'rm -rf "$TMPDIR"' EXIT
fi

# Tests run side by side, one to a core; those about threads ask for their own number.
cores=$(nproc)  # before the next line, which nproc heeds
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
export EBM_EMULATED_CUDA=${EBM_EMULATED_CUDA:-descending,late}
report=$PWD/build/$preset/test_report.xml
rm -f "$report"
status=0
start=$SECONDS
echo "Running the tests"
ctest --preset "$preset" --parallel "$cores" --no-tests=error --output-junit "$report" \
  "${selection[@]}" "$@" |
  sed -uE '/^ *Start +[0-9]+:/d; / Test +#[0-9]+:.* Passed /d; s/ +# GetParam\(\) = .*(\.{3}| \()/ \1/; s/\.{4,}/.../' || status=$?
[[ -f $report ]] || exit 1
echo "test: ran for $((SECONDS - start)) s"

# Not the report's own totals: they call a test whose program is missing skipped.
count() { grep -c "$1" "$report" || true; }
passed=$(count '<testcase .*status="run"')
skipped=$(($(count '<skipped message="SKIP_') + $(count '<testcase .*status="disabled"')))
failed=$(($(count '<testcase ') - passed - skipped))
echo "$passed passed, $failed failed, $skipped skipped"
[[ $status -ne 0 || $passed -gt 0 ]] || status=1
exit "$status"

#!/usr/bin/env bash
# cmake --install into the home folder of a user, who runs everything there, and removes it as
# docs/installing.md says.
# usage: installed_test.sh BUILD
set -uo pipefail
build=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")" || exit
# shellcheck source=tests/support/checks.sh
source ../support/checks.sh
sources=$(cd ../.. && pwd)
use=$PWD/installed_use.sh
remove=$(sed -n '/^rm /,/[^\\]$/p' "$sources/docs/installing.md")

export HOME=$scratch/home
prefix=$HOME/.local
mkdir -p "$HOME/work" "$prefix/bin"
touch "$prefix/bin/another"
unset PYTHONDONTWRITEBYTECODE
run 0 cmake --install "$build" --prefix "$prefix" --strip
cd "$HOME/work" || exit
PATH=$prefix/bin:$PATH run 0 "$use" "$prefix"

# What is in place, whatever the programs are, but for what they do not look for.
for file in share/ebm/{configs/reference.yaml,ebm_train.sbatch} \
  share/doc/ebm/{README.md,CHANGELOG.md,LICENSE,docs/installing.md,docs/gmm_landscape.png}; do
  [[ -s $prefix/$file ]] || fail "there is no $file"
done
equal "$(find "$prefix" -name '*.pyc')" ""

# Nothing needs the sources or the build folder, or a library beside the programs.
for folder in "$sources" "$build"; do
  equal "$(grep -rlaF "$folder" "$prefix")" ""
done
for program in "$prefix"/bin/ebm_{train,plot,sample,score}; do
  run 0 readelf -d "$program"
  [[ $output != *PATH* ]] || fail "$program has a path to libraries: $output"
  run 0 ldd "$program"
  [[ $output != *'not found'* ]] || fail "$program: $output"
done
if grep -q '^EBM_CUDA:BOOL=OFF' "$build/CMakeCache.txt"; then
  equal "$(grep -E '^(CUDA|CMAKE_CUDA|CUDNN)' "$build/CMakeCache.txt")" ""
  equal "$(ldd "$prefix"/bin/ebm_train | grep -E '/lib(cuda|cudnn|cublas|nv)')" ""
fi

# As a package is made: the same files, elsewhere.
DESTDIR=$scratch/stage run 0 cmake --install "$build" --prefix /usr
diff <(cd "$scratch/stage/usr" && find . | LC_ALL=C sort) \
  <(cd "$prefix" && find . -not -name another | LC_ALL=C sort) || fail "other files are staged"

[[ -n $remove ]] || fail "docs/installing.md does not say how to remove it"
run 0 bash -c "$remove"
equal "$(find "$prefix" -not -type d)" "$prefix/bin/another"
equal "$(find "$prefix" -name '*ebm*')" ""
finish

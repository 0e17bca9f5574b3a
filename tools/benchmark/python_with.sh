# Finding a Python that has a package.
# shellcheck shell=bash

# python_with MODULE...: $PYTHON, or the first of those on the path and in /opt that has them all.
# It is not imported here: PyTorch takes seconds.
python_with() {
  local python
  for python in ${PYTHON:-} python3 python /opt/*/bin/python3 /opt/*/.venv/bin/python3; do
    if "$python" -c 'import sys
from importlib.util import find_spec
sys.exit(not all(map(find_spec, sys.argv[1:])))' "$@" 2>/dev/null; then
      echo "$python"
      return
    fi
  done
  return 1
}

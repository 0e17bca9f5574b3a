#!/usr/bin/env bash
# Installs the Debian packages that building, testing and running ebm needs, and that are missing;
# for the preset cuda also cuDNN's C++ headers from PyPI, into build/cudnn-frontend.
# Where none is missing it does nothing: no root, no network.
# usage: setup.sh [--dry-run] [PRESET]      --dry-run prints the missing packages, one a line, and
#                                           stops; PRESET, of CMakePresets.json, may need more [cpu];
#                                           `benchmark` is what tools/benchmark/run.sh needs,
#                                           `ci` what tools/lint.sh, quick builds, manual pages and the
#                                           report's test in a browser do
set -euo pipefail

packages=(
  git g++ cmake ninja-build
  libdnnl-dev ocl-icd-opencl-dev  # oneDNN as CMake finds it asks for the OpenCL headers
  librandom123-dev libyaml-cpp-dev libcli11-dev libfmt-dev libspdlog-dev
  nlohmann-json3-dev libpng-dev libjpeg62-turbo-dev libarchive-dev libxxhash-dev zlib1g-dev
  libprotobuf-dev protobuf-compiler libisal-dev libthrust-dev libeigen3-dev
  gnuplot-nox curl
  libgtest-dev python3 python3-venv
)

dry_run=false
if [[ ${1:-} == --dry-run ]]; then
  dry_run=true
  shift
fi
if [[ $# -gt 1 || ${1:-} == -* ]]; then
  echo "setup: unknown argument $*; usage: setup.sh [--dry-run] [PRESET]" >&2
  exit 2
fi
case ${1:-cpu} in
  benchmark) packages+=(libbenchmark-dev python3-venv) ;;
  ci) packages+=(ccache chromium-headless-shell clang-format clang-tidy help2man) ;;
  # Clang's OpenMP and sanitizers: ThreadSanitizer understands no other OpenMP, and GCC has no fuzzer.
  tsan | fuzz) packages+=(clang-14 libclang-rt-14-dev libomp-14-dev) ;;
esac

is_installed() {
  dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

missing=()
for package in "${packages[@]}"; do
  is_installed "$package" || missing+=("$package")
done

if $dry_run; then
  [[ ${#missing[@]} -eq 0 ]] || printf '%s\n' "${missing[@]}"
  exit 0
fi

# cudnn_frontend is on PyPI, and not among Debian's packages.
install_cudnn_frontend() {
  local version=1.32.0 folder
  folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/build/cudnn-frontend
  [[ ! -d $folder/nvidia_cudnn_frontend-$version.dist-info ]] || return 0
  echo "setup: installing cudnn_frontend $version into $folder"
  local venv
  venv=$(mktemp -d)
  rm -rf "$folder"
  if ! python3 -m venv "$venv" ||
    ! "$venv/bin/pip" --quiet --disable-pip-version-check --retries 1 install --no-deps \
      --target "$folder" "nvidia-cudnn-frontend==$version"; then
    rm -rf "$venv" "$folder"
    echo "setup: pip could not install it; is the network up? Or set CUDNN_FRONTEND_INCLUDE_DIR to" \
      "the headers of https://github.com/NVIDIA/cudnn-frontend when you configure" >&2
    return 1
  fi
  rm -rf "$venv" "$folder/cudnn"  # the Python package itself
}

if [[ ${#missing[@]} -eq 0 ]]; then
  [[ ${1:-} != cuda ]] || install_cudnn_frontend
  exit
fi

if ! command -v apt-get >/dev/null; then
  echo "setup: this is not a Debian system (no apt-get). Install what these Debian packages hold," \
    "then follow 'Building by hand' in docs/development.md:" >&2
  printf '  %s\n' "${missing[@]}" >&2
  exit 1
fi

as_root=()
if [[ $EUID -ne 0 ]]; then
  if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [[ -t 0 ]]; }; then
    as_root=(sudo)
  else
    echo "setup: packages are missing, and installing them needs root. Ask an administrator to run" >&2
    echo "  apt-get update && apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Runs apt-get without questions; its output is shown only if it fails.
quiet_apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y "$@" >"$log" 2>&1 </dev/null
}

echo "setup: installing ${missing[*]}"
if [[ ${#as_root[@]} -gt 0 ]]; then
  sudo -v  # asks for the password, if one is needed, where the question can be seen
fi
# A package list that cannot be fetched is no reason to give up: an older one may do.
quiet_apt update -o APT::Update::Error-Mode=any || { sleep 5 && quiet_apt update; } || true
if ! quiet_apt install --no-install-recommends "${missing[@]}"; then
  cat "$log" >&2
  echo "setup: apt-get could not install them; is the network up?" >&2
  exit 1
fi
[[ ${1:-} != cuda ]] || install_cudnn_frontend

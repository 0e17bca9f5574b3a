#!/usr/bin/env bash
# Builds the Debian package, installs it on a bare Debian 12 of its own (debootstrap, in a temporary
# folder), runs what it installs as a user would, and removes it again. Nothing is installed on this
# machine; packages come from where its apt gets them. Takes about three minutes.
# usage: deb_check.sh [PACKAGE.deb]      as root; needs debootstrap, dpkg-dev and help2man; where
#                                        lintian is, it checks the package too
# Exit status: 0 all is well; 1 something is not; 2 wrong command line, or what it needs is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

refuse() {
  echo "deb_check: $*" >&2
  exit 2
}
[[ $# -le 1 && ${1:-} != -* ]] || refuse "usage: deb_check.sh [PACKAGE.deb]"
[[ $EUID -eq 0 ]] || refuse "installing into a folder needs root: run it with sudo"
for tool in debootstrap dpkg-shlibdeps help2man; do
  command -v $tool >/dev/null ||
    refuse "$tool is not installed: apt-get install debootstrap dpkg-dev help2man"
done
grep -q '^VERSION_CODENAME=bookworm$' /etc/os-release ||
  refuse "this is not Debian 12: a package that is built here is not for it"

package=${1:-}
if [[ -z $package ]]; then
  tools/setup.sh cpu
  cmake --preset cpu >/dev/null
  cmake --build build/cpu --target ebm_programs
  rm -rf build/cpu/package
  cpack --config build/cpu/CPackConfig.cmake
  package=$(echo build/cpu/package/*.deb)
fi
[[ -f $package ]] || refuse "there is no $package"

# If something is mounted below it, it is not removed.
folder=$(mktemp -d)
root=$folder/root
clean_up() {
  if grep -q " $folder/" /proc/self/mountinfo; then
    echo "deb_check: something is still mounted below $folder, which therefore stays:" >&2
    grep " $folder/" /proc/self/mountinfo >&2
  else
    rm -rf --one-file-system "$folder"
  fi
}
trap clean_up EXIT

# quietly COMMAND...: its output is shown only if it fails.
quietly() {
  "$@" >"$folder/log" 2>&1 </dev/null || {
    cat "$folder/log" >&2
    echo "deb_check: failed: $*" >&2
    exit 1
  }
}

if command -v lintian >/dev/null; then
  echo "deb_check: lintian on $package"
  quietly lintian --fail-on error,warning "$package"
else
  echo "deb_check: lintian is not installed (Debian package lintian); policy is not checked"
fi
echo "deb_check: making a Debian 12 in $root"
mirror=$(apt-get indextargets --format "\$(REPO_URI)" 'Created-By: Packages' 'Origin: Debian' \
  'Codename: bookworm' 'Component: main' | head -n 1)
[[ -n $mirror ]] || refuse "apt has no list of bookworm's packages: run apt-get update"
eval "$(apt-config shell proxy Acquire::http::Proxy)"
[[ -z ${proxy:-} ]] || export http_proxy=$proxy
quietly debootstrap --variant=minbase bookworm "$root" "$mirror"

# Its apt fetches as this machine's does.
rm -f "$root/etc/apt/sources.list"
for part in sources.list sources.list.d trusted.gpg trusted.gpg.d keyrings auth.conf.d; do
  [[ ! -e /etc/apt/$part ]] || cp -a "/etc/apt/$part" "$root/etc/apt/"
done
cp -an /usr/share/keyrings "$root/usr/share/"
apt-config dump Acquire >"$root/etc/apt/apt.conf.d/00host"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"

in_root() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"; }
apt() { in_root DEBIAN_FRONTEND=noninteractive apt-get -y "$@"; }
named_ebm() { (cd "$root" && find etc usr var -name '*ebm*' | LC_ALL=C sort); }
named_ebm >"$folder/before"

echo "deb_check: installing $package with what it depends on, and no more"
quietly apt update
cp "$package" "$root/tmp/ebm.deb"
chmod 644 "$root/tmp/ebm.deb"
quietly apt install --no-install-recommends /tmp/ebm.deb
# shellcheck disable=SC2016  # dpkg-query expands it
if in_root dpkg-query -W -f '${Depends}\n' ebm | grep -iE 'cuda|cudnn|cublas|nvidia'; then
  echo "deb_check: the package depends on CUDA" >&2
  exit 1
fi

# use FOLDER: all programs, in that folder of a user who is not root.
in_root useradd --create-home user
cp tests/tools/installed_use.sh "$root/usr/local/bin/"
use() {
  quietly chroot --userspec=user:user "$root" /usr/bin/env -i HOME=/home/user LC_ALL=C.UTF-8 \
    PATH=/usr/bin:/bin sh -c "mkdir ~/$1 && cd ~/$1 && /usr/local/bin/installed_use.sh /usr"
}
echo "deb_check: using it"
use bare
echo "deb_check: using it with what it recommends"
# shellcheck disable=SC2016
for recommended in $(in_root dpkg-query -W -f '${Recommends}' ebm | tr -d ,); do
  quietly apt install --no-install-recommends "$recommended"
done
use recommended
if [[ ! -s $root/home/user/recommended/run/diagnosis.png ]]; then
  echo "deb_check: no plots were drawn" >&2
  exit 1
fi
for program in "$root"/usr/bin/ebm_*; do
  quietly zgrep '^.SH NAME' "$root/usr/share/man/man1/${program##*/}.1.gz"
done

echo "deb_check: removing it"
quietly apt remove ebm
named_ebm >"$folder/after"
diff "$folder/before" "$folder/after" || {
  echo "deb_check: these files are left" >&2
  exit 1
}
echo "deb_check: $package installs, runs and goes again ($SECONDS s)"

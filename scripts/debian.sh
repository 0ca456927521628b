# What the other scripts share; they source this file. Messages; a cache folder; programs from crates.io and
# PyPI; Debian packages, installed in the system or unpacked in the cache. The package lists are private, so that those of
# arm64 do not end up in the system's; the mirrors are the system's own.
# shellcheck shell=bash

# Without this an error within $(…) would not end the script.
shopt -s inherit_errexit

cache=$(realpath -m "${DIMMER_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dimmer}")

# What the packages have besides the default features.
# shellcheck disable=SC2034
package_features=(--features matter)

# cargo_test ARGUMENT…: `cargo test` with these arguments, by a compiler that also lints and checks the documentation.
cargo_test() {
  RUSTC_WORKSPACE_WRAPPER=$PWD/scripts/test/rustc.sh cargo test --locked "${package_features[@]}" "$@"
}

say() { printf '== %s\n' "$*" >&2; }

fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# The version of dimmer, from Cargo.toml.
package_version() { sed -n 's/^version = "\(.*\)"/\1/p;T;q' Cargo.toml; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# private_apt TOOL ARGUMENT…: apt-get or apt-cache with the private lists of this machine's architecture and of
# $foreign, arm64 if that is not set.
private_apt() {
  local tool=$1
  shift
  "$tool" -qq -o Dir::State::Lists="$cache/apt/lists" -o Dir::Cache="$cache/apt" \
    -o APT::Architectures::="$(dpkg --print-architecture)" -o APT::Architectures::="${foreign:-arm64}" \
    -o APT::Sandbox::User="$(id -un)" -o APT::Install-Recommends=false \
    -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
    -o Debug::NoLocking=true "$@"
}

# Updates the private lists, once in a run: outdated lists name packages that the mirrors no longer have.
update_lists() {
  [ -z "${lists_updated:-}" ] || return 0
  say "reading the package lists"
  mkdir -p "$cache/apt/lists/partial" "$cache/apt/archives/partial"
  private_apt apt-get update >&2
  lists_updated=1
}

# cached NAME COMMAND ARGUMENT…: fills the folder NAME of the cache, unless it exists, by calling COMMAND FOLDER
# ARGUMENT…. A command that fails leaves only FOLDER.partial, which the next call replaces.
cached() {
  local folder=$cache/$1 command=$2
  shift 2
  [ ! -d "$folder" ] || return 0
  rm -rf "$folder.partial"
  "$command" "$folder.partial" "$@"
  mv "$folder.partial" "$folder"
}

# cargo_install NAME VERSION ARGUMENT…: builds a program from crates.io in the cache, unless it is there, and puts it
# first in the PATH. The arguments go to `cargo install`.
cargo_install() {
  local name=$1-$2
  cached "$name" cargo_build_into "$1@$2" "${@:3}"
  PATH=$cache/$name/bin:$PATH
}

# cargo_build_into FOLDER NAME@VERSION ARGUMENT…
cargo_build_into() {
  say "building $2"
  cargo install --quiet --locked --root "$1" "$2" "${@:3}" >&2
}

# make_venv FOLDER PACKAGE…: a Python environment with these packages from PyPI; for `cached`. That renames the folder
# afterwards, so start the programs of Python with `bin/python -m`.
make_venv() {
  python3 -c 'import ensurepip' 2>/dev/null || install python3-venv
  say "fetching ${*:2}"
  python3 -m venv "$1"
  "$1/bin/python" -m pip install --quiet --disable-pip-version-check "${@:2}" >&2
}

# newest META: the package with a version in its name that the meta package META depends on.
newest() {
  private_apt apt-cache depends "$1" | awk '/Depends:/ { print $2; exit }'
}

# unpack_into FOLDER: unpacks the packages in FOLDER/debs into FOLDER, and removes them.
unpack_into() {
  local package
  for package in "$1"/debs/*.deb; do
    dpkg -x "$package" "$1"
  done
  rm -r "$1/debs"
}

# fetch FOLDER PACKAGE…: unpacks these packages in FOLDER, without their dependencies.
fetch() {
  local folder=$1
  shift
  update_lists
  say "fetching $*"
  mkdir -p "$folder/debs"
  (cd "$folder/debs" && private_apt apt-get download "$@" >&2)
  unpack_into "$folder"
}

# fetch_program FOLDER PACKAGE…: unpacks these packages in FOLDER, and those of their dependencies that are not
# installed. Installing them could remove other packages: QEMU's would remove a newer qemu-utils.
fetch_program() {
  local folder=$1
  shift
  update_lists
  say "fetching $*"
  mkdir -p "$folder/debs/partial"
  private_apt apt-get install --yes --download-only -o Dir::Cache::Archives="$folder/debs" "$@" >&2
  unpack_into "$folder"
}

# libraries FOLDER: the LD_LIBRARY_PATH for the programs that fetch_program unpacked in FOLDER.
libraries() {
  local multiarch
  multiarch=$(uname -m)-linux-gnu
  echo "$1/lib/$multiarch:$1/usr/lib/$multiarch"
}

# install PACKAGE…: installs the packages that are missing, as root or with sudo. Fails if another package would have
# to be removed.
install() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
      missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  as_root apt-get update -qq >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-remove \
    --no-install-recommends "${missing[@]}" >/dev/null
}

# make_forky FOLDER: the next Debian, for what this one is too old for: with Python and the tools that its packages are
# built with, and lintian.
make_forky() {
  local mirror script=/usr/share/debootstrap/scripts/forky
  install debootstrap
  # That of Debian 12 is older than forky.
  [ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
  # shellcheck disable=SC2016
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | sed q)
  say "fetching Debian forky"
  as_root debootstrap --variant=minbase \
    --include=ca-certificates,g++,gcc,libc6-dev,python3,python3-dev,python3-venv \
    forky "$1" "$mirror" "$script" >&2
  # The names and the certificates that this machine knows.
  as_root cp /etc/resolv.conf "$1/etc/resolv.conf"
  as_root cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/ca-certificates.crt"
  # Not by debootstrap, which resolves no alternatives.
  in_debian "$1" apt-get -qq -o Acquire::Check-Valid-Until=false update >&2
  in_debian "$1" apt-get install -qq -y --no-install-recommends lintian >&2
}

# in_debian FOLDER COMMAND…: runs a command as root in the Debian in that folder.
in_debian() {
  as_root env PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    chroot "$@"
}

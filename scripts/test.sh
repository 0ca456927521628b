#!/usr/bin/env bash
# Runs every check and every test, and first installs what they need (Debian packages).
#
#   scripts/test.sh [--long]
#
#   --long  also builds for every Raspberry Pi, and starts each binary: some 15 minutes more
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1-} in
'' | --long) ;;
*)
  echo "test.sh: unknown argument $1; see the head of $0" >&2
  exit 2
  ;;
esac

step() { printf '\n== %s\n' "$*"; }

# Installs the Debian packages that are missing; as root, or with sudo.
install_missing() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  step "installing ${missing[*]}"
  local sudo=()
  [ "$(id -u)" -eq 0 ] || sudo=(sudo)
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
}

install_missing build-essential chromium chromium-driver shellcheck shfmt systemd

step "scripts"
scripts=(scripts/*.sh scripts/*/*.sh .ci/run systemd/deb/{postinst,prerm,postrm})
shellcheck -x "${scripts[@]}"
shfmt --indent 2 --diff "${scripts[@]}"

step "format"
cargo fmt --check

step "lint"
cargo clippy --locked --all-targets -- --deny warnings

step "documentation"
RUSTDOCFLAGS="--deny warnings" cargo doc --locked --no-deps --document-private-items

step "release build"
cargo build --locked --release

step "tests, against the release binary"
DIMMER_BIN=$PWD/target/release/dimmer cargo test --locked

# emulate ARGUMENT…: runs it, unless there is no QEMU here.
emulate() {
  local status=0
  scripts/emulate.sh "$@" || status=$?
  case $status in
  0) ;;
  77) step "!!! NOT TESTED: anything on an emulated Raspberry Pi" ;;
  *) exit "$status" ;;
  esac
}

step "the pin of an emulated Raspberry Pi"
emulate

step "deployment to an emulated Raspberry Pi"
emulate --system

[ "${1-}" = --long ] || exit 0

step "every target"
for target in aarch64 armv7 armv6; do
  scripts/build.sh --target "$target" --check
done

step "cross"
scripts/test/cross.sh

step "the packages"
scripts/package.sh --lint
scripts/package.sh --target armv6 --lint

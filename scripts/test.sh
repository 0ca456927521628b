#!/usr/bin/env bash
# Runs every check and every test, and first installs what they need (Debian packages).
set -euo pipefail
cd "$(dirname "$0")/.."

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
shellcheck scripts/*.sh .ci/run systemd/deb/{postinst,prerm,postrm}
shfmt --indent 2 --diff scripts/*.sh .ci/run systemd/deb/{postinst,prerm,postrm}

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

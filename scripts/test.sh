#!/usr/bin/env bash
# Runs every check and every test, and first installs what they need: Debian packages, axe-core from npm, and
# clients from npm and PyPI.
#
#   scripts/test.sh [--long]
#
#   --long  also builds for every Raspberry Pi and starts each binary, checks the dependencies, fuzzes,
#           tries websocat and Node-RED, and gives the tests of reliability their time: some 40 minutes more
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

case ${1-} in
'') ;;
--long) export DIMMER_LONG=1 ;;
*) fail "unknown argument $1; see the head of $0" ;;
esac

step() { printf '\n== %s\n' "$*"; }

install avahi-daemon avahi-utils build-essential chromium chromium-driver curl dbus iproute2 mosquitto openssh-client \
  shellcheck shfmt strace systemd tzdata webkit2gtk-driver xvfb
scripts/axe.sh >/dev/null
scripts/clients.sh >/dev/null
if [ -n "${DIMMER_LONG-}" ]; then
  scripts/clients.sh websocat >/dev/null
  scripts/clients.sh node-red >/dev/null
fi

# Just the program, as the package would start a server.
cached prometheus fetch prometheus
export PATH=$PATH:$cache/prometheus/usr/bin

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

[ -n "${DIMMER_LONG-}" ] || exit 0

step "every target"
for target in aarch64 armv7 armv6; do
  scripts/build.sh --target "$target" --check
done

step "cross"
scripts/test/cross.sh

step "dependencies"
scripts/audit.sh

step "fuzzing"
scripts/fuzz.sh 60

step "the packages"
scripts/package.sh --lint
scripts/package.sh --target armv6 --lint

#!/usr/bin/env bash
# Builds a Debian package for a Raspberry Pi and prints its path, the only line on stdout.
#
#   scripts/package.sh [--lint] [any argument of scripts/build.sh]
#
#   --target  aarch64 (the default) makes an arm64 package. armv6 and armv7 make an armhf one; armv6
#             is the one for every 32-bit Raspberry Pi OS, from the Pi 1 on.
#   --lint    lets Debian's lintian judge the package, too
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

cargo_deb=3.8.0

lint='' build=()
for argument in "$@"; do
  case $argument in
  --lint) lint=1 ;;
  *) build+=("$argument") ;;
  esac
done

binary=$(scripts/build.sh "${build[@]}")
triple=$(basename "$(dirname "$(dirname "$binary")")")

say "manual, completions and change log"
made=target/package
rm -rf "$made"
cargo run --quiet --locked --example manual -- "$made" >&2
version=$(sed -n 's/^version = "\(.*\)"/\1/p;T;q' Cargo.toml)
maintainer=$(sed -n 's/^maintainer = "\(.*\)"/\1/p' Cargo.toml)
# The package's times are the commit's, so that the same commit makes the same package.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
cat >"$made/changelog" <<EOF
dimmer ($version) unstable; urgency=medium

  * See CHANGELOG.md in this folder.

 -- $maintainer  $(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")
EOF

if [ ! -x "$cache/cargo-deb-$cargo_deb/bin/cargo-deb" ]; then
  say "building cargo-deb"
  cargo install --quiet --locked --root "$cache/cargo-deb-$cargo_deb" "cargo-deb@$cargo_deb" >&2
fi
install dpkg-dev
package=$("$cache/cargo-deb-$cargo_deb/bin/cargo-deb" --no-build --no-strip --no-dbgsym --target "$triple")

if [ -n "$lint" ]; then
  install lintian
  say "lintian"
  # As root lintian wants to be told that this is meant.
  lintian --allow-root --fail-on error "$package" >&2
fi

realpath "$package"

#!/usr/bin/env bash
# Builds a Debian package for a Raspberry Pi and prints its path, the only line on stdout.
#
#   scripts/package.sh [--lint] [any argument of scripts/build.sh]
#
#   --target  aarch64 (the default) makes an arm64 package. armv6 and armv7 make an armhf one; armv6
#             is for every 32-bit Raspberry Pi OS, from the Pi 1 on.
#   --lint    also checks the package with the lintian of this Debian and of the next one
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

lint='' build=()
for argument in "$@"; do
  case $argument in
  --lint) lint=1 ;;
  *) build+=("$argument") ;;
  esac
done

binary=$(scripts/build.sh "${build[@]}")
triple=$(basename "$(dirname "$(dirname "$binary")")")

say "writing the manual, the completions and the change log"
made=target/package
rm -rf "$made"
# With the features of the tests, so that their build is used where there is one.
cargo run --quiet --locked "${package_features[@]}" --example manual -- "$made" >&2
version=$(package_version)
maintainer=$(sed -n 's/^maintainer = "\(.*\)"/\1/p' Cargo.toml)
# The files in the package have the time of the commit, so that the same commit makes the same package.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
cat >"$made/changelog" <<EOF
dimmer ($version) unstable; urgency=medium

  * See CHANGELOG.md in this folder.

 -- $maintainer  $(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")
EOF

cargo_install cargo-deb 3.8.0
install dpkg-dev
package=$(cargo-deb --no-build --no-strip --no-dbgsym --target "$triple")

if [ -n "$lint" ]; then
  install lintian
  say "lintian"
  # Lintian refuses to run as root without this flag.
  lintian --allow-root --fail-on error,warning "$package" >&2
  say "lintian of Debian forky"
  cached forky make_forky
  as_root cp "$package" "$cache/forky/tmp/dimmer.deb"
  in_debian "$cache/forky" lintian --allow-root --fail-on error,warning /tmp/dimmer.deb >&2
fi

realpath "$package"

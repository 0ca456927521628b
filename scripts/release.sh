#!/usr/bin/env bash
# Builds everything that a release consists of, as the release workflow does, and prints the folder.
#
#   scripts/release.sh v0.1.0
#
# The folder, target/release-v0.1.0, gets the packages for arm64 and armhf, which lintian has checked, their checksums,
# and the notes from CHANGELOG.md. The tag must be the version in Cargo.toml. Nothing is published.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

tag=${1-}
notes=$(scripts/release-notes.sh "$tag")
folder=$PWD/target/release-$tag
rm -rf "$folder"
mkdir -p "$folder"
printf '%s\n' "$notes" >"$folder/notes.md"
# arm64 for a 64-bit Raspberry Pi OS, armhf for every 32-bit one, from the Pi 1 on.
for target in aarch64 armv6; do
  cp "$(scripts/package.sh --lint --target "$target")" "$folder"
done
(cd "$folder" && sha256sum -- *.deb >SHA256SUMS)
say "built $tag; notes.md, SHA256SUMS and the packages are in"
echo "$folder"

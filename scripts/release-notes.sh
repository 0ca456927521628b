#!/usr/bin/env bash
# Prints the section of CHANGELOG.md about a release, without its heading.
#
#   scripts/release-notes.sh v0.1.0
#
# Fails if the tag is not the version in Cargo.toml, or if CHANGELOG.md says nothing about that version.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

tag=${1-}
version=$(package_version)
[ "$tag" = "v$version" ] || fail "the tag must be v$version, the version in Cargo.toml, not ${tag:-nothing}"

notes=$(awk -v heading="## $version" '
  /^## / { inside = ($0 == heading || index($0, heading " ") == 1); next }
  inside' CHANGELOG.md)
[ -n "${notes//[[:space:]]/}" ] || fail "CHANGELOG.md has no section \"## $version\", or an empty one"
printf '%s\n' "$notes"

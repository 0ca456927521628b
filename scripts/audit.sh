#!/usr/bin/env bash
# Checks the dependencies with cargo-deny: licences, sources and, where the list of advisories can be downloaded, known
# vulnerabilities.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

cargo_install cargo-deny 0.20.2

cargo deny --locked --all-features check licenses bans sources

if cargo deny --locked fetch db 2>/dev/null; then
  cargo deny --locked check advisories
else
  say "!!! NOT CHECKED: known vulnerabilities; the list of advisories cannot be downloaded here"
fi

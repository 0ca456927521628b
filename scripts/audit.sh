#!/usr/bin/env bash
# Checks the dependencies with cargo-deny: licences, sources, and known holes, as far as the list of those
# can be had.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

make_cargo_deny() { cargo install --quiet --locked --root "$1" cargo-deny; }
cached cargo-deny make_cargo_deny
PATH=$cache/cargo-deny/bin:$PATH

cargo deny --locked --all-features check licenses bans sources

if cargo deny --locked fetch db 2>/dev/null; then
  cargo deny --locked check advisories
else
  say "!!! NOT CHECKED: known holes; the list of advisories cannot be had here"
fi

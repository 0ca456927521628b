#!/usr/bin/env bash
# Fuzzes the parsers of what comes from the network and from the disk, and fails at the first finding. Each target runs
# for SECONDS, 600 by default. The corpora and the findings are in fuzz/.
#
#   scripts/fuzz.sh [SECONDS]
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

cargo_install cargo-fuzz 0.13.2

# The sanitizers need a nightly compiler, or a stable one with this variable.
export RUSTC_BOOTSTRAP=1
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
for target in wire settings levels; do
  say "fuzzing $target"
  mkdir "$found/$target"
  # New inputs go to the first folder, so the committed corpus does not change.
  cargo fuzz run "$target" "$found/$target" "fuzz/corpus/$target" -- \
    -max_total_time="${1:-600}" -max_len=4096 -timeout=5
done

#!/usr/bin/env bash
# Fuzzes what comes from the network and from disk, each target for some seconds (600 without a number),
# and fails at the first finding. Corpora and findings are in fuzz/.
#
#   scripts/fuzz.sh [SECONDS]
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

make_cargo_fuzz() { cargo install --quiet --locked --root "$1" cargo-fuzz; }
cached cargo-fuzz make_cargo_fuzz
PATH=$cache/cargo-fuzz/bin:$PATH

# The sanitizers are for nightly compilers, or for one that is told to act like one.
export RUSTC_BOOTSTRAP=1
found=$(mktemp -d)
trap 'rm -rf "$found"' EXIT
for target in wire settings levels; do
  say "fuzzing $target"
  mkdir "$found/$target"
  # New inputs go to the first folder, so that the corpus stays as it is committed.
  cargo fuzz run "$target" "$found/$target" "fuzz/corpus/$target" -- \
    -max_total_time="${1:-600}" -max_len=4096 -timeout=5
done

#!/usr/bin/env bash
# Compiles what is the project's own (cargo's RUSTC_WORKSPACE_WRAPPER) by clippy, and so lints and builds it at once; and
# checks the documentation of the library. Any warning is an error. `cargo clippy` and `cargo doc` say the same, but each
# checks all dependencies again, which takes minutes.
set -euo pipefail

# check_documentation ARGUMENT…: those of rustc.
check_documentation() {
  local arguments=()
  while [ $# -gt 0 ]; do
    case $1 in
    # For the compiler alone.
    --emit=*) ;;
    -C | --out-dir) shift ;;
    *) arguments+=("$1") ;;
    esac
    shift
  done
  rustdoc "${arguments[@]}" --document-private-items --deny warnings --out-dir "${CARGO_TARGET_DIR:-target}/doc"
}

if [[ " $* " = *' --crate-name dimmer '*' --crate-type lib '* ]]; then
  check_documentation "${@:2}"
fi
exec clippy-driver "$@" --deny warnings

#!/usr/bin/env bash
# Tests that cross reads cross.toml when build.sh calls it: the real cross, with stand-ins for Docker and rustup that
# only record how they are called.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

cargo_install cross 0.2.5

fakes=$(mktemp -d)
trap 'rm -rf "$fakes"' EXIT
cat >"$fakes/docker" <<EOF
#!/bin/sh
echo "\$*" >>"$fakes/asked"
EOF
cat >"$fakes/rustup" <<'EOF'
#!/bin/sh
case $1 in
toolchain) echo "stable-x86_64-unknown-linux-gnu (default)" ;;
target) echo "aarch64-unknown-linux-gnu (installed)" ;;
component) echo "rust-src (installed)" ;;
esac
EOF
chmod +x "$fakes"/*

export no_proxy=localhost
PATH=$fakes:$PATH scripts/build.sh --way cross >/dev/null
# cross passes this variable to the container only because cross.toml lists it.
grep -q '^run .*-e no_proxy ' "$fakes/asked" || fail "cross does not read cross.toml"
# cross reads Cross.toml without being told. On a file system that ignores case that would be cross.toml, and the test
# would pass without CROSS_CONFIG.
! git ls-files | grep -x Cross.toml || fail "there is a Cross.toml beside cross.toml; remove it"
say "cross reads cross.toml"

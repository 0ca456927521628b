#!/usr/bin/env bash
# Whether cross reads cross.toml when build.sh calls it: the real cross, with a Docker and a rustup that
# only write down what they are asked.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

version=0.2.5
make_cross() {
  say "building cross $version"
  cargo install --quiet --locked --root "$1" "cross@$version"
}
cached "cross-$version" make_cross

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
PATH=$fakes:$cache/cross-$version/bin:$PATH scripts/build.sh --way cross >/dev/null
# cross passes this variable on where cross.toml says so, and only there.
grep -q '^run .*-e no_proxy ' "$fakes/asked" || fail "cross does not read cross.toml"
# On a disk that ignores case this would be cross.toml itself, and hide the mistake.
! git ls-files | grep -x Cross.toml || fail "cross.toml has a rival"
say "cross reads cross.toml"

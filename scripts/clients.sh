#!/usr/bin/env bash
# Fetches programs that the tests speak with, in their pinned versions, and prints their folder.
#
#   scripts/clients.sh [--find] [prometheus | websocat | node-red | matter]
#
#   --find  fetches nothing: prints the folder, or fails if it is not there
#
# Without a name: Socket.IO's clients, wscat, htmx, and websockets of Python.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

pins=$PWD/tests/clients/socketio
matter=$PWD/tests/clients/matter
websocat=1.14.1
node_red=4.1.8

# make_clients FOLDER: a venv for each Engine.IO version, and the clients in JavaScript.
make_clients() {
  local version
  say "fetching the Socket.IO clients, wscat, htmx and websockets"
  need_npm
  python3 -c 'import ensurepip' 2>/dev/null || install python3-venv
  for version in 3 4; do
    python3 -m venv "$1/engineio-$version"
    "$1/engineio-$version/bin/python" -m pip install --quiet --disable-pip-version-check \
      --no-deps --requirement "$pins/engineio-$version.txt" >&2
  done
  cp "$pins/package.json" "$pins/package-lock.json" "$1"
  npm ci --prefix "$1" --silent --no-audit --no-fund >&2
}

# make_websocat FOLDER: without TLS, which needs a library of the system.
make_websocat() {
  say "building websocat $websocat"
  cargo install --quiet --locked --no-default-features --root "$1" "websocat@$websocat" >&2
}

# make_node_red FOLDER
make_node_red() {
  say "fetching Node-RED $node_red"
  need_npm
  mkdir -p "$1"
  npm install --silent --no-save --no-audit --no-fund --ignore-scripts --prefix "$1" "node-red@$node_red" >&2
}

# make_matter FOLDER: two controllers of Matter, in JavaScript and Python.
make_matter() {
  say "fetching matter.js and the CHIP SDK"
  need_npm
  python3 -c 'import ensurepip' 2>/dev/null || install python3-venv
  install libnl-route-3-200
  python3 -m venv "$1/chip"
  "$1/chip/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$matter/chip.txt" >&2
  # The SDK keeps files in /data and /tmp. Here they are in /mnt, where each test has a folder of its own.
  sed -i -e 's|/data/chip_|/mnt//chip_|g' -e 's|/tmp/chip_|/mnt/chip_|g' "$1"/chip/lib/python3*/site-packages/chip/*.so
  cp "$matter/package.json" "$matter/package-lock.json" "$1"
  npm ci --prefix "$1" --silent --no-audit --no-fund >&2
  cp "$matter"/controller.* "$1"
  # The authorities of test devices, which dimmer is: rs-matter has them for its own tests.
  local crate
  crate=$(cargo metadata --locked --format-version 1 --features matter | python3 -c '
import json, sys
packages = json.load(sys.stdin)["packages"]
print(next(package["manifest_path"] for package in packages if package["name"] == "rs-matter"))')
  mkdir "$1/paa"
  cp "${crate%/*}"/src/attest/test_paa/*.der "$1/paa"
}

# make_prometheus FOLDER: just the program, as the package would start a server.
make_prometheus() { fetch "$1" prometheus; }

# need_npm: installs it, if it is missing.
need_npm() { command -v npm >/dev/null || install nodejs npm; }

find=
if [ "${1-}" = --find ]; then
  find=1
  shift
fi
case ${1-} in
'')
  # Other pins are another folder.
  name=clients-$(cat "$pins"/*.txt "$pins"/package*.json | cksum | cut -d ' ' -f 1)
  make=make_clients
  ;;
prometheus)
  name=prometheus
  make=make_prometheus
  ;;
websocat)
  name=websocat-$websocat
  make=make_websocat
  ;;
node-red)
  name=node-red-$node_red
  make=make_node_red
  ;;
matter)
  name=matter-$(cat "$matter"/* | cksum | cut -d ' ' -f 1)
  make=make_matter
  ;;
*) fail "unknown argument $1; see the head of $0" ;;
esac
if [ -n "$find" ]; then
  [ -d "$cache/$name" ] || fail "not fetched yet: ${1:-the Socket.IO clients}; run $0${1:+ $1}"
else
  cached "$name" "$make"
fi
echo "$cache/$name"

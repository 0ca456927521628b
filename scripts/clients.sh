#!/usr/bin/env bash
# Gets the Socket.IO clients that the tests use, in their pinned versions, and prints their folder.
#
#   scripts/clients.sh
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

pins=$PWD/tests/socketio

# make_clients FOLDER: a venv for each Engine.IO version, and both JavaScript libraries.
make_clients() {
  local version
  say "fetching the Socket.IO clients"
  for version in 3 4; do
    python3 -m venv "$1/engineio-$version"
    "$1/engineio-$version/bin/python" -m pip install --quiet --disable-pip-version-check \
      --no-deps --requirement "$pins/engineio-$version.txt" >&2
  done
  cp "$pins/package.json" "$pins/package-lock.json" "$1"
  npm ci --prefix "$1" --silent --no-audit --no-fund >&2
}

# Other pins are another folder.
name=clients-$(cat "$pins"/*.txt "$pins"/package*.json | cksum | cut -d ' ' -f 1)
command -v npm >/dev/null || install nodejs npm
python3 -c 'import ensurepip' 2>/dev/null || install python3-venv
cached "$name" make_clients
echo "$cache/$name"

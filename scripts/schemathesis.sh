#!/usr/bin/env bash
# Sends the REST API what its OpenAPI document allows and what it does not, with Schemathesis in its pinned version, and
# fails if the document is not true.
#
#   scripts/schemathesis.sh [EXAMPLES]
#
# EXAMPLES is the number of random requests for each operation, by default 200: some two minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

examples=${1:-200}
version=4.32.5
cached "schemathesis-$version" make_venv "schemathesis==$version"
cargo build --quiet --locked --release "${package_features[@]}"

lab=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$lab"' EXIT
# What the document allows depends on no setting then: a place for the sun, and lights of any speed.
cat >"$lab/dimmer.toml" <<'EOF'
latitude = 1.0
longitude = 2.0
[[light]]
allow_fast_strobe = true
[[light]]
name = "shelf"
gpio = 20
allow_fast_strobe = true
EOF
# Against the document, which does not know how many timers and presets there are: they are limited to 32. The entries of
# a backup are checked in more detail than it describes. Schemathesis generates changes with what does not go together
# where they are values of an object, and bodies that are too large.
cat >"$lab/schemathesis.toml" <<'EOF'
checks.negative_data_rejection.expected-statuses = ["4xx"]
[[operations]]
include-operation-id = ["addTimer", "savePreset"]
checks.positive_data_acceptance.expected-statuses = ["2xx", 404, 422]
[[operations]]
include-operation-id = ["restore", "restoreByPost", "changeLights", "changeLightsByPost"]
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 404, 422]
EOF
target/release/dimmer serve --driver simulated --listen 127.0.0.1:0 --config "$lab/dimmer.toml" \
  --state-dir "$lab/state" >"$lab/printed" 2>"$lab/log" &
server=$!
until url=$(sed -n 's/^open //p;T;q' "$lab/printed") && [ -n "$url" ]; do
  kill -0 "$server" || fail "dimmer does not start: $(<"$lab/log")"
  sleep 0.1
done
# It writes its cache into the current folder.
cd "$lab"
"$cache/schemathesis-$version/bin/python" -m schemathesis.cli --config-file schemathesis.toml \
  run "$url/api/openapi.json" --checks all --max-examples "$examples"

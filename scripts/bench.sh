#!/usr/bin/env bash
# Measures the cost of keeping clients in step, and compares it with other servers: docs/performance.md.
#
#   scripts/bench.sh [--check | --record] [ARGUMENT…]
#
#   --check   fails if a ratio to the floor is worse than the recorded one
#   --record  records the ratios in benches/fanout/ratios.json
#
# The other options of the benchmark select a part: --only floor,dimmer --clients 10,1000 --scenario paced --rounds 1
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/debian.sh
source scripts/debian.sh

flask=$cache/flask
make_flask() {
  say "fetching Flask-SocketIO"
  python3 -m venv --clear "$flask.partial" &&
    "$flask.partial/bin/python" -m pip install --quiet --disable-pip-version-check \
      flask-socketio==5.7.0 simple-websocket==1.1.0 gevent==26.9.0 gevent-websocket==0.10.1 &&
    mv "$flask.partial" "$flask"
}
if [ -d "$flask" ] || make_flask; then
  export FANOUT_PYTHON=$flask/bin/python
else
  say "!!! NOT MEASURED: the tutorials' server; install Python with venv and pip to measure it"
fi

# Built separately: built together with the benchmark, the binary would get the tokio features that only the tests need.
# Copied, because building the benchmark overwrites target/release/dimmer.
if [ -z "${DIMMER_BIN-}" ]; then
  say "building"
  cargo build --quiet --locked --release
  mkdir -p target/bench
  cp target/release/dimmer target/bench/dimmer
  export DIMMER_BIN=$PWD/target/bench/dimmer
fi
cargo bench --quiet --locked --bench fanout -- "$@"

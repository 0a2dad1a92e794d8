#!/usr/bin/env bash
# Builds a release and measures it against nats-server, which it installs on Debian if it can.
# Arguments go to the benchmark: --json FILE, --rounds N, --seconds N, --in-flight N, --help.
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v nats-server >/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    echo "== installing nats-server, the baseline (apt-get)"
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends nats-server; } >/dev/null ||
        echo "could not install it; running without a baseline"
fi

scripts/setup.sh
echo "== building a release (about 20 minutes the first time on two cores)"
cargo build --release -p p2c2r-bench -p p2c2r-coordinator -p p2c2r-peer --bins
exec target/release/p2c2r-bench "$@"

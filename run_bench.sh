#!/usr/bin/env bash
# Builds a release and measures it: the network against nats-server, which it installs on Debian if it can, the sandbox
# against native code, and its GPU path against bare wgpu. Arguments go to the benchmark: --only net|sandbox|gpu, --json FILE,
# --rounds N, --help.
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v nats-server >/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    echo "== installing nats-server, the baseline (apt-get)"
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends nats-server; } >/dev/null ||
        echo "could not install it; running without a baseline"
fi

scripts/setup.sh
echo "== building a release (about 20 minutes the first time on two cores)"
# All at once: features, and with them wasmtime, are the same for all of them.
cargo build --release -p p2c2r-bench -p p2c2r-coordinator -p p2c2r-jail -p p2c2r-peer -p p2c2r --bins
target/release/p2c2r build kernels/* examples/bench/loops
exec target/release/p2c2r-bench "$@"

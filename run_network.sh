#!/usr/bin/env bash
# Builds P2C2R and runs a whole network on this machine: coordinator, three peers, a client, then a lying peer, then no network.
# Arguments go to the demo: --json FILE, --keep, --quick, --attack NAME, --port N, --help.
set -euo pipefail
cd "$(dirname "$0")"

case " $* " in *" --help "* | *" -h "*)
    echo "usage: ./run_network.sh [--json FILE] [--keep] [--quick] [--attack NAME [--tasks N] | --split] [--port N] [--dir DIR]"
    echo "  --json FILE  write the figures to FILE"
    echo "  --keep       leave the network running until Ctrl-C"
    echo "  --quick      a smaller workload"
    echo "  --attack NAME  many small tasks among four honest and two cheating peers instead: liar, lazy, sleeper, strategic,"
    echo "                 copier, sybil, ring, bit-flipper, slow-loris or hoarder; --tasks N of them (default: 3000)"
    echo "  --split      frames of the path tracer cut over one, two and four peers instead, and how much sooner they are there"
    echo "  --port N     the coordinator's port (default: a free one)"
    echo "  --dir DIR    keys, stores, logs and picture (default: target/network; emptied first)"
    exit 0
    ;;
esac

echo "== set-up"
scripts/setup.sh

echo "== building the programs (about 15 minutes the first time on two cores)"
# What is run below and no more, but with the features that the whole workspace needs, as run_tests.sh has them: nothing is built twice.
cargo build --workspace --bin network --bin demo-client --bin cheat-peer --bin p2c2r-coordinator --bin p2c2r-peer --bin p2c2r-worker --bin p2c2r

echo "== building the kernels"
scripts/build_kernels.sh

echo "== fetching the scene"
mesh=target/scene/bunny.obj
scripts/fetch_scene.sh "$mesh" || echo "no mesh to be had; the demo traces its procedural scene"

exec target/debug/network ${mesh:+--mesh "$mesh"} "$@"

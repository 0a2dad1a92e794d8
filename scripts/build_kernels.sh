#!/usr/bin/env bash
# Compiles the kernels of kernels/ and of the benchmark to target/kernels/NAME.wasm (unsigned), with the project's own 'p2c2r build'.
# Needs what scripts/setup.sh sets up. Cargo skips whatever is up to date.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# With --workspace the crates below are built with the features the whole workspace needs, once for all later steps.
cargo build --workspace --bin p2c2r
"${CARGO_TARGET_DIR:-target}/debug/p2c2r" build kernels/flow kernels/npc kernels/physics kernels/raytrace kernels/voxels examples/bench/loops

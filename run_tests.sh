#!/usr/bin/env bash
# Sets up what is missing, builds the kernels and runs every test. Arguments go to the test runner as filters,
# for example: ./run_tests.sh -p p2c2r-core
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

say() { printf '\ntests: %s\n' "$*"; }

scripts/setup.sh

if [ -x scripts/fetch_scene.sh ]; then
    # Without the mesh the ray tracer draws its procedural scene, so a failed download is no failure.
    scripts/fetch_scene.sh || say "the scene could not be fetched; the procedural one is used"
fi

say "building the kernels"
scripts/build_kernels.sh

mkdir -p target
readonly LOG=target/tests.log
[ $# -gt 0 ] || set -- --workspace

# Output of passed tests is wanted too: a test that could not run says SKIPPED and why.
# The frame that libtest prints around each single test is not.
quieter() {
    sed -u -E -e '/^ *(stdout|stderr) ─+$/d' -e '/^ *running [0-9]+ tests?$/d' -e '/^ *test .+ \.\.\. ok$/d' \
        -e '/^ *test result: ok\./d' -e '/^ *$/d'
}

# The set-up provides a Vulkan driver: a GPU test that finds none fails instead of saying SKIPPED.
export P2C2R_REQUIRE_GPU=1
# And, on Linux, compilers of C and Rust for WASI.
if [ "$(uname -s)" = Linux ]; then export P2C2R_REQUIRE_WASI_C=1 P2C2R_REQUIRE_WASI_RUST=1; fi

say "unit and integration tests"
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run "$@" --no-fail-fast --no-tests=fail --success-output immediate --color never 2>&1 | tee "$LOG" | quieter
else
    cargo test "$@" --all-targets --no-fail-fast -- --show-output 2>&1 | tee "$LOG"
fi

say "documentation tests"
cargo test "$@" --doc

if grep -h 'SKIPPED' "$LOG" | sed -E 's/^ +//' | sort -u >target/skipped.txt; then
    say "skipped:"
    cat target/skipped.txt
    # scripts/setup.sh has put a Vulkan driver on every Linux machine, so a GPU test has no excuse here.
    if [ "$(uname -s)" = Linux ] && grep -q -i -E 'vulkan|adapter|gpu' target/skipped.txt; then
        say "error: a GPU test was skipped although the set-up provides a Vulkan driver"
        exit 1
    fi
fi
say "all passed"

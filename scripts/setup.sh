#!/usr/bin/env bash
# Checks what P2C2R is built and run with and installs what is missing, saying so first:
#   - rustc and cargo 1.95 or newer and a C compiler (checked; the compiler is installed on Debian)
#   - a way to compile to WebAssembly: rustup's target, or Debian's compiler with the library sources
#   - clang and a C library for WASI, and Rust's: the tests run C and Rust programs in the sandbox
#   - a Vulkan driver: Mesa's software driver (lavapipe) when the machine has none
# Does nothing, in well under a second, when all of it is there. Safe to run again at any time.
set -euo pipefail

readonly RUST_MIN=1.95.0
readonly WASM_TARGET=wasm32-unknown-unknown
readonly WASI_TARGET=wasm32-wasip1
readonly WASM_PACKAGES="rustc-web cargo-web rust-web-src lld-19"
# The last one has the compiler's run-time library for wasm32; its name carries clang's version.
readonly WASI_PACKAGES="clang lld wasi-libc libclang-rt-dev-wasm32"
readonly VULKAN_PACKAGES="mesa-vulkan-drivers libvulkan1"

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# ---- Debian packages -------------------------------------------------------------------------------------------

can_apt() { have apt-get && { [ "$(id -u)" = 0 ] || have sudo; }; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# apt_install REASON PACKAGE...
apt_install() {
    local reason=$1 log
    shift
    say "installing $* ($reason)"
    log=$(mktemp)
    # The package lists may be empty or old: try with what is there, then once more with fresh ones.
    if as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >"$log" 2>&1 ||
        { as_root apt-get update && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; } >"$log" 2>&1; then
        rm -f "$log"
    else
        tail -n 20 "$log" >&2
        rm -f "$log"
        return 1
    fi
}

# ---- Rust ------------------------------------------------------------------------------------------------------

# at_least VERSION MINIMUM
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

check_rust() {
    local fix="install or update it with rustup (https://rustup.rs), then: rustup update stable"
    have rustc || die "rustc was not found; $fix"
    have cargo || die "cargo was not found; $fix"
    local version
    version=$(rustc --version | cut -d ' ' -f 2)
    at_least "$version" "$RUST_MIN" || die "rustc is $version, $RUST_MIN or newer is needed; $fix"
}

check_c_compiler() {
    have cc && return
    if can_apt; then
        apt_install "C compiler and linker" gcc libc6-dev || die "could not install gcc; install a C compiler by hand"
    else
        die "no C compiler (cc) was found; install gcc or clang (on macOS: xcode-select --install)"
    fi
}

# ---- WebAssembly -----------------------------------------------------------------------------------------------
# The two routes that 'p2c2r build' knows; keep this in step with guest-sdk/cli/src/toolchain.rs.

# has_library TARGET
has_library() { [ -d "$(rustc --print sysroot)/lib/rustlib/$1/lib" ]; }
has_rustup_route() { has_library "$WASM_TARGET"; }

has_debian_route() {
    [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ] || return 1
    at_least "$(/usr/bin/rustc --version | cut -d ' ' -f 2)" "$RUST_MIN" || return 1
    [ -f "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library/Cargo.toml" ] || return 1
    have wasm-ld-19 || have wasm-ld || have rust-lld
}

check_wasm() {
    if has_rustup_route || has_debian_route; then return; fi
    if have rustup; then
        say "adding the Rust target $WASM_TARGET (kernels are compiled to it)"
        if timeout 300 rustup target add "$WASM_TARGET" >/dev/null 2>&1 && has_rustup_route; then return; fi
        say "rustup could not add it (no network to its server?)"
    fi
    if can_apt; then
        # shellcheck disable=SC2086 # a list of words
        if apt_install "WebAssembly compiler for kernels" $WASM_PACKAGES && has_debian_route; then return; fi
    fi
    die "no $WASM_TARGET compiler; run 'rustup target add $WASM_TARGET', or on Debian 'apt-get install $WASM_PACKAGES'"
}

# ---- C for WASI ------------------------------------------------------------------------------------------------

# Compiling is the only honest check: the pieces lie in different places everywhere.
has_wasi_c() {
    have clang && echo 'int main(void) { return 0; }' | clang --target=wasm32-wasi -x c - -o /dev/null 2>/dev/null
}

check_wasi_c() {
    has_wasi_c && return
    if can_apt; then
        # shellcheck disable=SC2086 # a list of words
        if apt_install "C compiler for WASI, to test the sandbox with C programs" $WASI_PACKAGES && has_wasi_c; then
            return
        fi
    fi
    # Not fatal: only tests need it, and they say so.
    say "warning: clang cannot compile for wasm32-wasi; tests with C programs will not run. Install clang, lld and wasi-libc (Debian: $WASI_PACKAGES)"
}

# ---- Rust for WASI ---------------------------------------------------------------------------------------------
# Debian's compiler can build that library as well, with clang to link it: runtime/tests/it/wasi_rust.rs knows both ways.

check_wasi_rust() {
    if has_library "$WASI_TARGET" || { has_debian_route && has_wasi_c; }; then return; fi
    if have rustup; then
        say "adding the Rust target $WASI_TARGET, to test the sandbox with Rust programs"
        if timeout 300 rustup target add "$WASI_TARGET" >/dev/null 2>&1 && has_library "$WASI_TARGET"; then return; fi
    fi
    if can_apt; then
        # shellcheck disable=SC2086 # a list of words
        if apt_install "Rust for WASI, to test the sandbox with Rust programs" $WASM_PACKAGES && has_debian_route && has_wasi_c; then
            return
        fi
    fi
    # Not fatal: only a test needs it, and it says so.
    say "warning: Rust cannot compile for $WASI_TARGET; a test with a Rust program will not run. Run 'rustup target add $WASI_TARGET'"
}

# ---- Vulkan ----------------------------------------------------------------------------------------------------

has_vulkan() {
    case "$(uname -s)" in
        Linux) ;;
        *) return 0 ;; # macOS has Metal, Windows DX12: nothing to install.
    esac
    local loader
    loader=$( (ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null || true) | grep -c 'libvulkan\.so\.1' || true)
    [ "$loader" != 0 ] || return 1
    [ -n "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ] && return 0
    compgen -G '/usr/share/vulkan/icd.d/*.json' >/dev/null || compgen -G '/etc/vulkan/icd.d/*.json' >/dev/null ||
        compgen -G '/usr/local/share/vulkan/icd.d/*.json' >/dev/null
}

check_vulkan() {
    has_vulkan && return
    if can_apt; then
        # shellcheck disable=SC2086 # a list of words
        if apt_install "software Vulkan driver, so that GPU code runs without a GPU" $VULKAN_PACKAGES && has_vulkan; then
            return
        fi
    fi
    # Not fatal: everything but the GPU path works without it, and the programs say so themselves.
    say "warning: no Vulkan driver; GPU work will be skipped. Install your GPU's driver, or Mesa's lavapipe (Debian: $VULKAN_PACKAGES)"
}

check_rust
check_c_compiler
check_wasm
check_wasi_c
check_wasi_rust
check_vulkan
say "ready: $(rustc --version | cut -d ' ' -f 1-2)"

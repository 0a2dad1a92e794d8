//! The WebAssembly engine: one configuration for everybody, and the identity that goes with every vote.

use std::hash::{Hash, Hasher};

use p2c2r_shader::REVISION as SHADER_REVISION;
use p2c2r_shader::limits::{LOOP_FUEL, LOOP_ROUNDS};
use p2c2r_signing::limits::{MEMORY_BYTES, PAGE_BYTES};
use p2c2r_signing::{Digest, Manifest};
use wasmtime::{Config, Enabled, Engine, Inlining, Linker, OptLevel, PoolingAllocationConfig, Strategy, WasmFeatures};

use crate::limits::{
    FRAME_SLOTS, INSTANCE_BYTES, KEEP_RESIDENT_BYTES, KEEP_RESIDENT_WORKER_BYTES, STACK_SLOTS, TABLE_ELEMENTS, TABLES,
    UNCHARGED_SLOTS, WASM_STACK_BYTES,
};
use crate::sandbox::Runaway;
use crate::state::State;
use crate::ticker::Ticker;
use crate::{host, wasi};

/// The wasmtime release this crate is built with. Code generation may change with any release, so it is part of
/// the engine id; a test compares it with the lock file.
pub const WASMTIME_VERSION: &str = "48.0.8";

/// The wasi-common release behind the `wasi` profile: its errno values are visible to guests.
const WASI_VERSION: &str = "46.0.3";

/// Raised with every change of this crate that a guest can notice, and with every change of what [`crate::rewrite`]
/// makes of a module: compiled code is kept under the engine id.
const HOST_REVISION: u32 = 4;

const ENGINE_DOMAIN: &str = "P2C2R 2026-11-22 engine id v1";
const CODE_DOMAIN: &str = "P2C2R 2026-11-23 code id v1";

/// Whether guests burn fuel. Two engines, because fuel is compiled into the code; [`Metering::of`] says which a kernel needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metering {
    /// No fuel.
    Plain,
    /// Kernels whose manifest names `fuel`.
    Fuel,
}

impl Metering {
    /// The one a kernel asks for.
    #[must_use]
    pub const fn of(manifest: &Manifest) -> Self {
        match manifest.fuel {
            None => Self::Plain,
            Some(_) => Self::Fuel,
        }
    }

    /// One word for file names and hashes.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Fuel => "fuel",
        }
    }
}

/// What keeps an access inside linear memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bounds {
    /// Nothing is mapped where a 32-bit address and an offset may lead.
    Guarded,
    /// Each access compares; only for measuring.
    Compared,
}

/// One engine with what belongs to it.
pub(crate) struct Plant {
    pub(crate) engine: Engine,
    pub(crate) metering: Metering,
    /// Attempts at once.
    pub(crate) workers: u32,
    /// Imports of the `core` profile.
    pub(crate) core: Linker<State>,
    /// Imports of the `wasi` profile: those of `core`, and WASI.
    pub(crate) wasi: Linker<State>,
    /// Moves the epoch, where guests look at it.
    pub(crate) ticker: Option<Ticker>,
}

impl Plant {
    pub(crate) fn new(metering: Metering, workers: u32, runaway: Runaway, bounds: Bounds) -> wasmtime::Result<Self> {
        let mut config = config(metering, workers, runaway);
        if bounds == Bounds::Compared {
            config.memory_reservation(MEMORY_BYTES).memory_guard_size(0);
        }
        Self::with(&config, metering, workers, runaway)
    }

    /// Another configuration than everybody's is for tests only: it has another identity.
    pub(crate) fn with(config: &Config, metering: Metering, workers: u32, runaway: Runaway) -> wasmtime::Result<Self> {
        let engine = Engine::new(config)?;
        let mut core = Linker::new(&engine);
        host::link(&mut core)?;
        let mut wasi = Linker::new(&engine);
        host::link(&mut wasi)?;
        wasi::link(&mut wasi)?;
        let ticker = (runaway == Runaway::Interrupted).then(|| Ticker::start(&engine)).transpose()?;
        Ok(Self { engine, metering, workers, core, wasi, ticker })
    }
}

/// Identity of the code an engine makes and takes: compiler, processor and settings, as wasmtime sees them.
pub(crate) fn code_id(engine: &Engine) -> Digest {
    let mut h = Collect(blake3::Hasher::new_derive_key(CODE_DOMAIN));
    engine.precompile_compatibility_hash().hash(&mut h);
    Digest::from_bytes(*h.0.finalize().as_bytes())
}

/// Feeds a `std` hash into blake3.
struct Collect(blake3::Hasher);

impl Hasher for Collect {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

/// Identity of everything that could change a result: engine release, instruction set, features and the limits a
/// guest can notice. The processor's optional features are left out: they change speed, not results, as the features
/// whose results depend on them (relaxed SIMD) are off. So is the operating system.
#[must_use]
pub fn engine_id() -> Digest {
    let text = [
        format!("wasmtime {WASMTIME_VERSION}"),
        format!("wasi-common {WASI_VERSION}"),
        format!("host {HOST_REVISION}"),
        format!("abi {}", p2c2r_abi::ABI_VERSION),
        format!("arch {}", std::env::consts::ARCH),
        format!("features {:#x}", FEATURES.bits()),
        "nan canonical".to_owned(),
        format!("stack {STACK_SLOTS} slots, {FRAME_SLOTS} a frame, {UNCHARGED_SLOTS} uncharged"),
        format!("memory {MEMORY_BYTES} in pages of {PAGE_BYTES}"),
        format!("tables {TABLES} of {TABLE_ELEMENTS}"),
        format!("shaders {SHADER_REVISION}, {LOOP_FUEL} iterations and {LOOP_ROUNDS} with barriers"),
    ]
    .join("\n");
    let mut h = blake3::Hasher::new_derive_key(ENGINE_DOMAIN);
    h.update(text.as_bytes());
    Digest::from_bytes(*h.finalize().as_bytes())
}

/// The WebAssembly a kernel may use: what compilers emit by default, and SIMD.
pub(crate) const FEATURES: WasmFeatures = WasmFeatures::FLOATS
    .union(WasmFeatures::MUTABLE_GLOBAL)
    .union(WasmFeatures::SATURATING_FLOAT_TO_INT)
    .union(WasmFeatures::SIGN_EXTENSION)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::BULK_MEMORY)
    .union(WasmFeatures::BULK_MEMORY_OPT)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::EXTENDED_CONST);

pub(crate) fn config(metering: Metering, workers: u32, runaway: Runaway) -> Config {
    let mut config = Config::new();
    // Compilers of guests leave calls that Cranelift does well to inline: a tracer of rays takes 0.7 times the time. But then
    // every function of a module is in memory at once, each as large as Cranelift allows, which counts of the module do not
    // bound: only where a process that does nothing else compiles, under limits, and can be killed.
    config.strategy(Strategy::Cranelift).cranelift_opt_level(OptLevel::Speed).compiler_inlining(match runaway {
        Runaway::Killed => Inlining::Yes,
        Runaway::Interrupted => Inlining::No,
    });

    // NaN bits are `crate::rewrite`'s: Cranelift would canonicalise after every instruction, and costs scalar code up to
    // 2.6 times its time.
    config.cranelift_nan_canonicalization(false);

    // An allow-list: what is not named is off, whatever wasmtime's default is now or later.
    config.wasm_features(WasmFeatures::all().difference(FEATURES), false).wasm_features(FEATURES, true);
    config.shared_memory(false).concurrency_support(false);

    // Time.
    config.epoch_interruption(runaway == Runaway::Interrupted);
    config.consume_fuel(metering == Metering::Fuel).max_wasm_stack(WASM_STACK_BYTES);

    // Traps vote by code only: no back-traces, no address maps, less to parse.
    config.wasm_backtrace_max_frames(None).generate_address_map(false).debug_info(false);

    // The trace reads every page with data in it, so copy-on-write images would save nothing; without them a page that
    // was never touched is known to be zero.
    config.memory_init_cow(false);

    config.allocation_strategy(pool(workers, runaway));
    config
}

/// Memory for so many attempts at once.
fn pool(workers: u32, runaway: Runaway) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(workers)
        .total_memories(workers)
        .total_tables(workers * TABLES)
        .max_memories_per_module(1)
        .max_tables_per_module(TABLES)
        .table_elements(TABLE_ELEMENTS)
        .max_core_instance_size(INSTANCE_BYTES)
        .max_memory_size(usize::try_from(MEMORY_BYTES).unwrap_or(usize::MAX))
        .linear_memory_keep_resident(match runaway {
            Runaway::Interrupted => KEEP_RESIDENT_BYTES,
            Runaway::Killed => KEEP_RESIDENT_WORKER_BYTES,
        })
        .table_keep_resident(KEEP_RESIDENT_BYTES)
        .pagemap_scan(Enabled::Auto)
        .max_unused_warm_slots(workers);
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_the_one_in_the_lock_file() {
        let lock = include_str!("../../Cargo.lock");
        let wanted = format!("name = \"wasmtime\"\nversion = \"{WASMTIME_VERSION}\"");
        assert!(lock.contains(&wanted), "change WASMTIME_VERSION with the dependency");
        assert_eq!(lock.matches("name = \"wasmtime\"\n").count(), 1, "one wasmtime only");
        let wanted = format!("name = \"wasi-common\"\nversion = \"{WASI_VERSION}\"");
        assert!(lock.contains(&wanted), "change WASI_VERSION with the dependency");
    }

    /// That the largest module the counts allow fits is a test in `tests/it/limits.rs`; no module reaches the bound itself.
    #[test]
    fn a_module_whose_instance_needs_a_byte_more_is_refused() {
        let globals = "(global (mut i64) (i64.const 0))".repeat(1000);
        let wasm = wat::parse_str(format!("(module {globals})")).unwrap();
        let check = |bytes: usize| {
            let mut config = config(Metering::Plain, 1, Runaway::Killed);
            let mut pool = pool(1, Runaway::Killed);
            pool.max_core_instance_size(bytes);
            config.allocation_strategy(pool);
            wasmtime::Module::new(&Engine::new(&config)?, &wasm).map(drop)
        };
        let (mut refused, mut accepted) = (1000, INSTANCE_BYTES);
        assert!(check(accepted).is_ok());
        while accepted - refused > 1 {
            let middle = refused.midpoint(accepted);
            *(if check(middle).is_ok() { &mut accepted } else { &mut refused }) = middle;
        }
        let error = format!("{:#}", check(refused).unwrap_err());
        // wasmtime counts in steps of 16 bytes.
        let needed = accepted.next_multiple_of(16);
        let wanted = format!("requires {needed} bytes which exceeds the configured maximum of {refused} bytes");
        assert!(error.contains(&wanted), "{error}");
    }

    #[test]
    fn id_is_stable_in_a_process() {
        assert_eq!(engine_id(), engine_id());
    }
}

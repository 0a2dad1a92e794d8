//! Modules in text form, and engines other than everybody's.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use p2c2r_signing::{Limits, Manifest, SecretKey, TrustedKeys, VerifiedModule, attach, sign_module, verify_module};
use wasmtime::{Inlining, InstanceAllocationStrategy, OptLevel};

use crate::engine::{FEATURES, Metering, Plant, config};
use crate::rewrite::{Refusal, rewrite};
use crate::sandbox::Runaway;

/// What the sandbox compiles in place of a module.
pub(super) fn rewritten(wasm: &[u8]) -> Result<Cow<'_, [u8]>, Refusal> {
    rewrite(wasm, FEATURES)
}

pub(super) fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

pub(super) fn manifest(fuel: Option<u64>) -> Manifest {
    let text = br#"{"name": "test", "version": "1.0.0", "abi": 1, "publisher": "Test", "unit": "unit"}"#;
    let mut manifest = Manifest::from_json(text).expect("a manifest");
    manifest.limits = Limits { memory_bytes: 4 << 20, input_bytes: 1 << 16, output_bytes: 1 << 12, units: 1000 };
    manifest.fuel = fuel;
    manifest
}

pub(super) fn sign(wasm: &[u8], manifest: &Manifest) -> VerifiedModule {
    static KEY: OnceLock<SecretKey> = OnceLock::new();
    let key = KEY.get_or_init(SecretKey::generate);
    let attached = attach(wasm, manifest, &[]).expect("a module with a manifest");
    let signed = sign_module(&attached, key).expect("a signed module");
    verify_module(signed, &TrustedKeys::from(key.public())).expect("a verified module")
}

/// One way to compile and run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Variant {
    pub(super) pooled: bool,
    pub(super) metering: Metering,
    /// Optimised and inlined.
    pub(super) speed: bool,
    pub(super) runaway: Runaway,
}

impl Variant {
    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..16).map(|bits| Self {
            pooled: bits & 1 == 0,
            metering: if bits & 2 == 0 { Metering::Plain } else { Metering::Fuel },
            speed: bits & 4 == 0,
            runaway: if bits & 8 == 0 { Runaway::Interrupted } else { Runaway::Killed },
        })
    }

    /// An engine for it. Calls are inlined where it optimises, whatever ends a run: that must not matter either.
    pub(super) fn plant(self) -> Arc<Plant> {
        const WORKERS: u32 = 4;
        let mut config = config(self.metering, WORKERS, self.runaway);
        if !self.pooled {
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        }
        config.cranelift_opt_level(if self.speed { OptLevel::Speed } else { OptLevel::None });
        config.compiler_inlining(if self.speed { Inlining::Yes } else { Inlining::No });
        Arc::new(Plant::with(&config, self.metering, WORKERS, self.runaway).expect("an engine"))
    }
}

//! Generated modules through everything: sign, verify, compile and run in the jail, and once more outside. Shared by the
//! test, which takes a few, and the example `soak`, which takes as many as it is told to.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use arbitrary::Unstructured;
use p2c2r_jail::{Jail, JailConfig, LoadError as JailLoadError};
use p2c2r_runtime::{Attempt, Execution, GpuPolicy, HostFault, LoadError, Sandbox, SandboxConfig, WASI_IMPORTS};
use p2c2r_signing::{
    BlobId, Limits, Manifest, Outcome, Profile, SecretKey, TrustedKeys, VerifiedModule, attach, sign_module,
    verify_module,
};
use wasm_smith::{Config, Module};

/// Loops and calls a generated module makes before it traps by itself.
const TERMINATION: u32 = 10_000;

/// For modules whose bytes were changed: those may run for ever.
const DEADLINE: Duration = Duration::from_millis(100);

/// What became of a module, for counting.
pub(crate) type Ending = String;

/// Where modules are taken: through the jail, and through a sandbox in this process, which must agree.
pub(crate) struct Judges {
    jail: Jail,
    sandbox: Sandbox,
}

impl Judges {
    pub(crate) fn new(worker: PathBuf) -> Result<Self, Box<dyn Error>> {
        let jail = Jail::start(JailConfig { gpu: GpuPolicy::Off, workers: 1, ..JailConfig::new(worker) })?;
        let sandbox = Sandbox::new(SandboxConfig { gpu: GpuPolicy::Off, workers: 1, ..SandboxConfig::default() })?;
        Ok(Self { jail, sandbox })
    }

    /// Makes the module of a seed and takes it all the way. The error says which rule did not hold.
    pub(crate) fn check(&self, seed: u64) -> Result<Ending, String> {
        let Some((wasm, manifest)) = generate(seed) else { return Ok("not generated".to_owned()) };
        let Some(module) = signed(&wasm, &manifest) else { return Ok("refused: signing".to_owned()) };
        let (inside, outside) = match (self.jail.load(&module), self.sandbox.load(&module)) {
            (Ok(inside), Ok(outside)) => (inside, outside),
            (Err(JailLoadError::Refused(_)), Err(LoadError::TooLarge { what, .. })) => {
                return Ok(format!("refused: too many {what}"));
            }
            (inside, outside) => return Err(format!("loads as {inside:?} in the jail, {outside:?} outside")),
        };
        let attempt = Attempt { deadline: DEADLINE, blobs: vec!["blob".into()], ..Attempt::new("some input") };
        let inside = self.jail.run(&inside, &attempt, &[BlobId::of(b"blob")]);
        match (inside, self.sandbox.run(&outside, attempt)) {
            (Err(HostFault::Deadline { .. }), _) | (_, Err(HostFault::Deadline { .. })) => {
                Ok("fault: deadline".to_owned())
            }
            (Err(fault), _) => Err(format!("in the jail: {fault}")),
            (_, Err(fault)) => Err(format!("outside: {fault}")),
            (Ok(inside), Ok(outside)) => {
                let parts = |e: &Execution| (e.outcome, e.output.clone(), e.units, e.trace_root);
                if parts(&inside) != parts(&outside) {
                    return Err(format!("{:?} in the jail, {:?} outside", parts(&inside), parts(&outside)));
                }
                Ok(match inside.outcome {
                    // There are as many numbers as modules.
                    Outcome::Failed(_) => "Failed".to_owned(),
                    other => format!("{other:?}"),
                })
            }
        }
    }
}

/// The module of a seed; one in three has some of its bytes changed.
fn generate(seed: u64) -> Option<(Vec<u8>, Manifest)> {
    let mut random = Random::new(seed);
    let data = random.bytes(4096);
    let kind = random.below(12);
    let profile = if kind % 4 == 3 { Profile::Wasi } else { Profile::Core };
    let mut module = Module::new(config(kind, profile), &mut Unstructured::new(&data)).ok()?;
    let _fuel_global = module.ensure_termination(TERMINATION).ok()?;
    let mut wasm = module.to_bytes();
    if random.below(3) == 0 {
        for _ in 0..=random.below(4) {
            let at = usize::try_from(random.below(wasm.len() as u64)).ok()?;
            wasm[at] = random.next() as u8;
        }
    }
    Some((wasm, manifest(profile, random.below(8) == 0)))
}

fn manifest(profile: Profile, metered: bool) -> Manifest {
    let text = br#"{"name": "smith", "version": "1.0.0", "abi": 1, "publisher": "Smith", "unit": "module"}"#;
    let mut manifest = Manifest::from_json(text).expect("a manifest");
    manifest.limits = Limits { memory_bytes: 4 << 20, input_bytes: 100, output_bytes: 1 << 16, units: 1 << 40 };
    manifest.fuel = metered.then_some(100_000);
    manifest.profile = profile;
    manifest
}

/// Modules that keep the contract, of the features that are on; one kind in twelve has every feature there is.
fn config(kind: u64, profile: Profile) -> Config {
    let wild = kind == 11;
    let (entry, names): (&str, Vec<_>) = match profile {
        Profile::Core => (
            r#"(func (export "p2c2r_main") (result i32) unreachable)"#,
            p2c2r_abi::import::ALL
                .iter()
                .map(|(name, signature)| (p2c2r_abi::IMPORT_MODULE, *name, *signature))
                .collect(),
        ),
        Profile::Wasi => (
            r#"(func (export "_start") unreachable)"#,
            WASI_IMPORTS.iter().map(|(name, signature)| ("wasi_snapshot_preview1", *name, *signature)).collect(),
        ),
    };
    let imports: String = names.iter().map(|(module, name, signature)| import(module, name, signature)).collect();
    let parse = |wat: String| Some(wat::parse_str(wat).expect("a module"));
    Config {
        available_imports: parse(format!("(module {imports})")),
        exports: parse(format!(r#"(module (memory (export "memory") 1 64) {entry})"#)),
        max_imports: 10,
        max_funcs: 20,
        max_instructions: 400,
        max_memory32_bytes: 4 << 20,
        max_table_elements: 10_000,
        table_max_size_required: kind.is_multiple_of(2),
        memory_max_size_required: kind.is_multiple_of(2),
        // With them come `externref`s, which are off: most modules do without.
        reference_types_enabled: wild || kind == 4,
        generate_custom_sections: kind.is_multiple_of(3),
        threads_enabled: wild,
        relaxed_simd_enabled: wild,
        tail_call_enabled: wild,
        gc_enabled: wild,
        exceptions_enabled: wild,
        memory64_enabled: wild,
        wide_arithmetic_enabled: wild,
        compact_imports_enabled: wild,
        // Besides the one that is exported.
        max_memories: usize::from(wild),
        max_tables: if wild { 2 } else { 1 },
        ..Config::default()
    }
}

fn import(module: &str, name: &str, signature: &str) -> String {
    let (params, result) = signature.trim_start_matches('(').split_once(')').expect("a signature");
    let params: String =
        params.split(',').filter_map(|p| p.split_once(':')).map(|(_, ty)| format!(" {}", ty.trim())).collect();
    let result = result.strip_prefix(" -> ").map_or(String::new(), |ty| format!("(result {ty})"));
    format!(r#"(import "{module}" "{name}" (func (param{params}) {result}))"#)
}

fn signed(wasm: &[u8], manifest: &Manifest) -> Option<VerifiedModule> {
    let key = SecretKey::from_seed(&[1; 32]);
    let signed = sign_module(&attach(wasm, manifest, &[]).ok()?, &key).ok()?;
    // What our own tool signs must verify.
    Some(verify_module(signed, &TrustedKeys::from(key.public())).expect("what was signed verifies"))
}

/// SplitMix64 (Steele, Lea and Flood 2014): a seed is all there is to a module.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

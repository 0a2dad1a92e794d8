//! Generated modules through everything: sign, verify, load, run twice. Shared by the test `smith`, which takes a
//! few, and the example `soak`, which takes as many as it is told to.

use std::time::Duration;

use arbitrary::Unstructured;
use p2c2r_runtime::{Attempt, HostFault, LoadError, Sandbox, WASI_IMPORTS};
use p2c2r_signing::{
    Limits, Manifest, Profile, SecretKey, TrustedKeys, VerifiedModule, attach, sign_module, verify_module,
};
use wasm_smith::{Config, Module};

/// Loops and calls a generated module makes before it traps by itself.
const TERMINATION: u32 = 10_000;

/// For modules whose bytes were changed: those may run for ever.
const DEADLINE: Duration = Duration::from_millis(100);

/// What became of a module, for counting.
pub(crate) type Ending = String;

/// Makes the module of a seed and takes it all the way. The error says which rule of the sandbox did not hold.
pub(crate) fn check(sandbox: &Sandbox, seed: u64) -> Result<Ending, String> {
    let Some((wasm, manifest)) = generate(seed) else { return Ok("not generated".to_owned()) };
    let Some(module) = signed(&wasm, &manifest) else { return Ok("refused: signing".to_owned()) };
    let kernel = match sandbox.load(&module) {
        Ok(kernel) => kernel,
        Err(LoadError::TooLarge { what, .. }) => return Ok(format!("refused: too many {what}")),
        Err(error) => return Err(format!("load: {error}")),
    };
    let run = || {
        let attempt = Attempt { deadline: DEADLINE, blobs: vec!["blob".into()], ..Attempt::new("some input") };
        sandbox.run(&kernel, attempt)
    };
    let (first, second) = (run(), run());
    match (first, second) {
        (Err(fault @ (HostFault::Deadline { .. } | HostFault::StackOverflow { .. })), _)
        | (_, Err(fault @ (HostFault::Deadline { .. } | HostFault::StackOverflow { .. }))) => {
            Ok(if matches!(fault, HostFault::Deadline { .. }) { "fault: deadline" } else { "fault: stack" }.to_owned())
        }
        (Err(fault), _) | (_, Err(fault)) => Err(format!("run: {fault}")),
        (Ok(a), Ok(b)) => {
            let parts = |e: &p2c2r_runtime::Execution| (e.outcome, e.output.clone(), e.units, e.trace_root);
            if parts(&a) == parts(&b) {
                Ok(format!("{:?}", a.outcome).split_once('(').map_or(format!("{:?}", a.outcome), |(head, rest)| {
                    // The numbers of `Failed` are as many as there are modules.
                    if head == "Failed" { head.to_owned() } else { format!("{head}({rest}") }
                }))
            } else {
                Err(format!("two runs differ: {:?} and {:?}", parts(&a), parts(&b)))
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

//! What the tests stand on: one adapter for all of them, modules made of nothing but shaders, and sessions.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use p2c2r_runtime::gpu::{Gpu, GpuAttempt, GpuOpenError, GpuOptions, GpuSession, ReferenceSession, Shaders};
use p2c2r_signing::{
    Manifest, ResultClass, SecretKey, TrustedKeys, VerifiedModule, attach, manifest, sign_module, verify_module,
};

/// Generous: software adapters share two cores with everything else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Doubles every word.
pub(crate) const DOUBLE: &str = "
@group(0) @binding(0) var<storage, read_write> words: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < arrayLength(&words) { words[id.x] *= 2u; }
}";

/// Adds `from` to `to`.
pub(crate) const ADD: &str = "
@group(0) @binding(0) var<storage, read> from_words: array<u32>;
@group(0) @binding(4) var<storage, read_write> to_words: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < arrayLength(&to_words) { to_words[id.x] += from_words[id.x]; }
}";

/// Counts invocations, in any shape of dispatch.
pub(crate) const COUNT: &str = "
@group(0) @binding(0) var<storage, read_write> words: array<atomic<u32>>;
@compute @workgroup_size(64) fn main() { atomicAdd(&words[0], 1u); }";

/// Where an attempt's shaders run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Backend {
    Adapter(&'static Gpu),
    Reference,
}

/// Checks what is to be the same on the adapter, if there is one, and on the reference. Shaders must be exact.
pub(crate) fn on_every_backend(check: impl Fn(Backend)) {
    let adapter = adapter().map(Backend::Adapter);
    for backend in adapter.into_iter().chain([Backend::Reference]) {
        eprintln!("{backend:?}");
        check(backend);
    }
}

/// The machine's adapter, or `None` after printing SKIPPED. One that is there and does not open is a failure, and with
/// `P2C2R_REQUIRE_GPU` set so is none at all.
pub(crate) fn adapter() -> Option<&'static Gpu> {
    static GPU: OnceLock<Option<Gpu>> = OnceLock::new();
    let gpu = GPU.get_or_init(|| match Gpu::open(GpuOptions::default()) {
        Ok(gpu) => Some(gpu),
        Err(error @ GpuOpenError::NoAdapter { .. }) if std::env::var_os("P2C2R_REQUIRE_GPU").is_none() => {
            eprintln!("{error}");
            None
        }
        Err(error) => panic!("{error}"),
    });
    if gpu.is_none() {
        eprintln!("SKIPPED: no GPU adapter");
    }
    gpu.as_ref()
}

/// A signed and verified module with these shaders, which may race.
pub(crate) fn module(shaders: &[(&str, &str)]) -> VerifiedModule {
    claiming(ResultClass::Device, shaders)
}

/// A signed and verified module with these shaders that claims this class.
pub(crate) fn claiming(result_class: ResultClass, shaders: &[(&str, &str)]) -> VerifiedModule {
    let manifest: Manifest = Manifest::from_json(
        br#"{"name":"gpu-test","version":"0.1.0","abi":1,"publisher":"tests","unit":"word",
             "gpu":{"buffers":4,"buffer_bytes":4096,"dispatches":3,"workgroups":16}}"#,
    )
    .unwrap();
    let manifest = Manifest { result_class, ..manifest };
    let shaders: Vec<_> = shaders.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect();
    let unsigned = attach(b"\0asm\x01\0\0\0", &manifest, &shaders).unwrap();
    let key = SecretKey::generate();
    verify_module(sign_module(&unsigned, &key).unwrap(), &TrustedKeys::from(key.public())).unwrap()
}

/// Limits wide enough for tests that are about something else.
pub(crate) const ROOMY: manifest::Gpu =
    manifest::Gpu { buffers: 16, buffer_bytes: 64 << 20, dispatches: 1000, workgroups: 1 << 20, cpu_path: false };

/// The standard shaders.
const STANDARD: [(&str, &str); 3] = [("double", DOUBLE), ("add", ADD), ("count", COUNT)];

/// The standard shaders on an adapter.
pub(crate) fn standard(gpu: &Gpu) -> Shaders {
    gpu.prepare(&claiming(ResultClass::Exact, &STANDARD)).unwrap()
}

/// A session with the standard shaders.
pub(crate) fn session(backend: Backend, limits: manifest::Gpu) -> Box<dyn GpuAttempt> {
    session_of(backend, &STANDARD, limits)
}

/// A session with these shaders, which are exact.
pub(crate) fn session_of(backend: Backend, shaders: &[(&str, &str)], limits: manifest::Gpu) -> Box<dyn GpuAttempt> {
    let module = claiming(ResultClass::Exact, shaders);
    let until = Instant::now() + PATIENCE;
    match backend {
        Backend::Adapter(gpu) => {
            Box::new(GpuSession::new(gpu, &gpu.prepare(&module).unwrap(), &limits, until).unwrap())
        }
        Backend::Reference => Box::new(ReferenceSession::new(&Shaders::of(&module).unwrap(), &limits, until).unwrap()),
    }
}

/// A buffer holding `words`.
pub(crate) fn filled(session: &mut dyn GpuAttempt, words: &[u32]) -> i32 {
    let handle = session.buf_create(words.len() as i64 * 4).unwrap();
    assert!(handle > 0, "status {handle}");
    assert_eq!(session.buf_write(handle, 0, &bytes(words)), Ok(0));
    handle
}

/// `count` words from the start of a buffer.
pub(crate) fn words(session: &mut dyn GpuAttempt, handle: i32, count: usize) -> Vec<u32> {
    let mut raw = vec![0xaa; count * 4];
    assert_eq!(session.buf_read(handle, 0, &mut raw), Ok(0));
    raw.chunks_exact(4).map(|w| u32::from_le_bytes(w.try_into().unwrap())).collect()
}

pub(crate) fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

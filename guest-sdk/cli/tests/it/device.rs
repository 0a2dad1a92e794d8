//! Shaders on this machine's GPU, through the sandbox's own path, as kernels of class `exact`. Lavapipe will do.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use p2c2r_runtime::gpu::{
    Gpu, GpuAttempt, GpuLoadError, GpuOpenError, GpuOptions, GpuSession, OK, ReferenceSession, Shaders, check_shaders,
};
use p2c2r_signing::{Manifest, SecretKey, TrustedKeys, VerifiedModule, attach, sign_module, verify_module};

/// The machine's adapter, or `None` after printing SKIPPED. One that is there and does not open is a failure, and with
/// `P2C2R_REQUIRE_GPU` set so is none at all.
pub(crate) fn adapter() -> Option<&'static Gpu> {
    static GPU: OnceLock<Option<Gpu>> = OnceLock::new();
    let gpu = GPU.get_or_init(|| match Gpu::open(GpuOptions::default()) {
        Ok(gpu) => Some(gpu),
        Err(GpuOpenError::NoAdapter { .. }) if std::env::var_os("P2C2R_REQUIRE_GPU").is_none() => None,
        Err(error) => panic!("{error}"),
    });
    if gpu.is_none() {
        eprintln!("SKIPPED: no GPU adapter");
    }
    gpu.as_ref()
}

/// A verified module with one shader that claims to be `exact`. Blocks that it uses are put in, as `p2c2r build` does.
pub(crate) fn exact(wgsl: &str) -> VerifiedModule {
    let manifest = Manifest::from_json(
        br#"{"name":"test","version":"0.1.0","abi":1,"publisher":"Tests","unit":"word","result_class":"exact",
             "gpu":{"buffers":16,"buffer_bytes":67108864,"dispatches":1000,"workgroups":65536}}"#,
    );
    let whole = p2c2r_wgsl::expand(wgsl).unwrap().into_text();
    let unsigned = attach(b"\0asm\x01\0\0\0", &manifest.unwrap(), &[("main".to_owned(), whole)]).unwrap();
    let key = SecretKey::generate();
    verify_module(sign_module(&unsigned, &key).unwrap(), &TrustedKeys::from(key.public())).unwrap()
}

/// What a peer says about a shader in an `exact` kernel.
pub(crate) fn verdict(wgsl: &str) -> Result<(), GpuLoadError> {
    check_shaders(&exact(wgsl))
}

/// A session with the shader, called `main`.
pub(crate) fn session(gpu: &Gpu, wgsl: &str) -> Box<dyn GpuAttempt> {
    let module = exact(wgsl);
    let shaders = gpu.prepare(&module).unwrap_or_else(|error| panic!("{error}\n{wgsl}"));
    let limits = module.manifest().gpu.unwrap();
    Box::new(GpuSession::new(gpu, &shaders, &limits, deadline()).unwrap())
}

/// The same on the CPU.
pub(crate) fn reference(wgsl: &str) -> Box<dyn GpuAttempt> {
    let module = exact(wgsl);
    let shaders = Shaders::of(&module).unwrap_or_else(|error| panic!("{error}\n{wgsl}"));
    let limits = module.manifest().gpu.unwrap();
    Box::new(ReferenceSession::new(&shaders, &limits, deadline()).unwrap())
}

/// Who may compute an exact shader: the reference, and the adapter if there is one. Each with its name.
pub(crate) fn engines(wgsl: &str) -> impl Iterator<Item = (&'static str, Box<dyn GpuAttempt>)> {
    let adapter = adapter().map(|gpu| ("adapter", session(gpu, wgsl)));
    std::iter::once(("reference", reference(wgsl))).chain(adapter)
}

/// Generous: software adapters share two cores with everything else.
fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(120)
}

/// One dispatch: what the bound buffers hold after it, by binding.
pub(crate) fn dispatch(
    session: &mut dyn GpuAttempt,
    workgroups: [u32; 3],
    buffers: &BTreeMap<u32, Vec<u8>>,
) -> BTreeMap<u32, Vec<u8>> {
    let bound: Vec<(u32, i32)> = buffers
        .iter()
        .map(|(binding, bytes)| {
            let handle = session.buf_create(bytes.len() as i64).unwrap();
            assert_eq!(session.buf_write(handle, 0, bytes), Ok(OK));
            (*binding, handle)
        })
        .collect();
    assert_eq!(session.dispatch(b"main", workgroups, &bound), Ok(OK));
    let mut after = BTreeMap::new();
    for (binding, handle) in bound {
        let mut bytes = vec![0xaa; buffers[&binding].len()];
        assert_eq!(session.buf_read(handle, 0, &mut bytes), Ok(OK));
        assert_eq!(session.buf_drop(handle), Ok(OK));
        after.insert(binding, bytes);
    }
    after
}

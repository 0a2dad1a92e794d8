//! A module on its way to being run: checked, compiled, its imports resolved.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use p2c2r_abi::{ABI_VERSION, IMPORT_MODULE, MEMORY_EXPORT, import};
use p2c2r_signing::limits::PAGE_BYTES;
use p2c2r_signing::{Manifest, ModuleId, Profile, ResultClass, VerifiedModule};
use wasmtime::{Engine, ExternType, InstancePre, Module, ModuleExport, ValType};

use crate::cache::Cache;
use crate::engine::{FEATURES, Plant};
use crate::gpu::{Gpu, Shaders};
use crate::rewrite::{Parts, Refusal, STACK_EXPORT, START_EXPORT, rewrite, rewrite_partly};
use crate::state::State;
use crate::{preflight, wasi, weight};

/// A module that cannot be loaded here. No statement about what it would compute.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The module has more of something than this host compiles.
    #[error("module has {got} {what}, at most {max} are compiled")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        got: u64,
        /// The bound.
        max: u64,
    },
    /// The engine for metered kernels could not be set up.
    #[error("engine: {0}")]
    Engine(String),
    /// The compiler failed on a valid module.
    #[error("compiler: {0}")]
    Compile(String),
}

/// What became of a module: native code of one engine on one machine, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compiled {
    /// Executed as it is; see [`crate::Sandbox::load_compiled`].
    Code(Vec<u8>),
    /// Every run ends as `Outcome::BadAbi`, for this reason.
    BadAbi(String),
}

/// A kernel ready to run. Cheap to clone; clones share the code.
#[derive(Clone)]
pub struct Kernel(Arc<Inner>);

struct Inner {
    module: VerifiedModule,
    code: Code,
    /// For the adapter, where the manifest names a GPU path and this machine has one.
    shaders: Option<Result<Shaders, String>>,
    /// For the CPU reference, where there is none; see [`Kernel::exact_shaders`].
    exact: OnceLock<Result<Shaders, String>>,
}

enum Code {
    /// Every run ends as `Outcome::BadAbi`, for this reason.
    BadAbi(String),
    Ready(Ready),
}

/// Compiled code with everything about it that a run needs.
pub(crate) struct Ready {
    pub(crate) plant: Arc<Plant>,
    pub(crate) pre: InstancePre<State>,
    pub(crate) memory: ModuleExport,
    pub(crate) entry: Entry,
    /// The global that counts the logical stack, where it is counted.
    pub(crate) stack: Option<ModuleExport>,
    /// The module has a start function that the host calls.
    pub(crate) host_starts: bool,
    /// Bills one unit an attempt: a WASI program that does not know of `charge`.
    pub(crate) flat_unit: bool,
    from_cache: bool,
}

/// How a run starts.
pub(crate) enum Entry {
    /// Export `() -> i32`; the result is the outcome.
    Core(String),
    /// Export `_start`, `() -> ()`.
    Wasi,
}

impl Kernel {
    /// From the cache, or compiled and kept there. Whatever does the shaders' work is ready for it.
    pub(crate) fn load(
        module: &VerifiedModule,
        plant: &Arc<Plant>,
        cache: Option<&Cache>,
        gpu: Option<&Gpu>,
    ) -> Result<Self, LoadError> {
        let kernel = Self::with_any_code(module, plant, cache, gpu)?;
        let on_adapter = gpu.is_some_and(|gpu| gpu.info().may_vote_on(ResultClass::Exact));
        if kernel.manifest().gpu.is_some() && kernel.manifest().result_class == ResultClass::Exact && !on_adapter {
            // Or why not, which its attempts are told.
            let _ = kernel.exact_shaders();
        }
        Ok(kernel)
    }

    fn with_any_code(
        module: &VerifiedModule,
        plant: &Arc<Plant>,
        cache: Option<&Cache>,
        gpu: Option<&Gpu>,
    ) -> Result<Self, LoadError> {
        if let Some(code) = cache.and_then(|cache| cache.load(plant.metering, &module.id())) {
            match Self::with_code(module, plant, &Compiled::Code(code), true, gpu) {
                Ok(kernel) => return Ok(kernel),
                Err(error) => tracing::warn!(module = %module.id(), %error, "compiled code refused; compiling again"),
            }
        }
        let compiled = compile(module, plant)?;
        if let (Some(cache), Compiled::Code(code)) = (cache, &compiled) {
            cache.store(plant.metering, &module.id(), code);
        }
        Self::with_code(module, plant, &compiled, false, gpu)
    }

    /// The caller vouches that `compiled` is what [`compile`] made of this module on this machine.
    pub(crate) fn with_code(
        module: &VerifiedModule,
        plant: &Arc<Plant>,
        compiled: &Compiled,
        from_cache: bool,
        gpu: Option<&Gpu>,
    ) -> Result<Self, LoadError> {
        let code = match compiled {
            Compiled::Code(code) => {
                let code = deserialize(&plant.engine, code).map_err(|e| LoadError::Compile(format!("{e:#}")))?;
                link(module.manifest(), plant, &code, from_cache).map_or_else(Code::BadAbi, Code::Ready)
            }
            Compiled::BadAbi(reason) => Code::BadAbi(reason.clone()),
        };
        let gpu = gpu.filter(|_| module.manifest().gpu.is_some());
        let shaders = gpu.map(|gpu| gpu.prepare(module).map_err(|error| error.to_string()));
        Ok(Self(Arc::new(Inner { module: module.clone(), code, shaders, exact: OnceLock::new() })))
    }

    /// The module's identity.
    #[must_use]
    pub fn id(&self) -> ModuleId {
        self.0.module.id()
    }

    /// The module's manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.0.module.manifest()
    }

    /// Why every run ends as `Outcome::BadAbi`, if it does.
    #[must_use]
    pub fn bad_abi(&self) -> Option<&str> {
        match &self.0.code {
            Code::BadAbi(reason) => Some(reason),
            Code::Ready(_) => None,
        }
    }

    /// Why this kernel cannot take the GPU path on this machine although its manifest names one and there is an
    /// adapter.
    #[must_use]
    pub fn gpu_refused(&self) -> Option<&str> {
        self.0.shaders.as_ref()?.as_ref().err().map(String::as_str)
    }

    /// Whether the code came from the cache.
    #[must_use]
    pub fn from_cache(&self) -> bool {
        matches!(&self.0.code, Code::Ready(ready) if ready.from_cache)
    }

    pub(crate) fn ready(&self) -> Result<&Ready, &str> {
        match &self.0.code {
            Code::BadAbi(reason) => Err(reason),
            Code::Ready(ready) => Ok(ready),
        }
    }

    /// The shaders for the CPU reference: those made for an adapter hold what it needs, and need not be made twice.
    pub(crate) fn exact_shaders(&self) -> &Result<Shaders, String> {
        match &self.0.shaders {
            Some(made @ Ok(_)) => made,
            _ => self.0.exact.get_or_init(|| Shaders::of(&self.0.module).map_err(|error| error.to_string())),
        }
    }

    /// Whether [`Self::exact_shaders`] takes no time.
    #[cfg(test)]
    pub(crate) fn has_exact_shaders(&self) -> bool {
        matches!(&self.0.shaders, Some(Ok(_))) || self.0.exact.get().is_some()
    }

    pub(crate) fn shaders(&self) -> Option<&Result<Shaders, String>> {
        self.0.shaders.as_ref()
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernel").field("id", &self.id()).field("name", &self.manifest().name).finish_non_exhaustive()
    }
}

/// Checks, rewrites and compiles; executes nothing and maps nothing executable.
pub(crate) fn compile(module: &VerifiedModule, plant: &Plant) -> Result<Compiled, LoadError> {
    compile_with(module, plant, |bytes| rewrite(bytes, FEATURES))
}

/// As [`compile`], rewritten in part: only good for measuring what the rest costs.
pub(crate) fn compile_partly(module: &VerifiedModule, plant: &Plant, parts: Parts) -> Result<Compiled, LoadError> {
    compile_with(module, plant, |bytes| rewrite_partly(bytes, FEATURES, parts))
}

fn compile_with(
    module: &VerifiedModule,
    plant: &Plant,
    rewrite: impl FnOnce(&[u8]) -> Result<Cow<'_, [u8]>, Refusal>,
) -> Result<Compiled, LoadError> {
    let engine = &plant.engine;
    preflight::check(module.bytes())?;
    // Cranelift is large and sees whatever a publisher signed; a panic in it must not end the peer.
    let compiled = catch_unwind(AssertUnwindSafe(|| {
        if let Err(error) = Module::validate(engine, module.bytes()) {
            return Ok(Compiled::BadAbi(format!("{error:#}")));
        }
        let bytes = match rewrite(module.bytes()) {
            Ok(bytes) => bytes,
            Err(Refusal::BadAbi(reason)) => return Ok(Compiled::BadAbi(reason)),
            Err(Refusal::Load(error)) => return Err(error),
        };
        weight::check(&bytes, FEATURES)?;
        let code = engine.precompile_module(&bytes);
        code.map(Compiled::Code).map_err(|error| LoadError::Compile(format!("{error:#}")))
    }));
    compiled.unwrap_or_else(|_| Err(LoadError::Compile("panicked".to_owned())))
}

#[expect(unsafe_code, reason = "wasmtime cannot check native code")]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Module> {
    // SAFETY: the code is the unmodified result of `precompile_module`, made by `compile` on this machine: it comes from
    // there directly, from the cache, which checks a MAC only this machine can make, or from the caller of
    // `Sandbox::load_compiled`, whose contract says so.
    unsafe { Module::deserialize(engine, code) }
}

/// Checks the module against the contract; the error says what it breaks.
fn link(manifest: &Manifest, plant: &Arc<Plant>, module: &Module, from_cache: bool) -> Result<Ready, String> {
    if manifest.abi != ABI_VERSION {
        return Err(format!("manifest names abi {}, this host knows {ABI_VERSION}", manifest.abi));
    }
    let (linker, entry) = match manifest.profile {
        Profile::Core => (&plant.core, Entry::Core(manifest.entry.clone())),
        Profile::Wasi => (&plant.wasi, Entry::Wasi),
    };
    let memory = match module.get_export(MEMORY_EXPORT) {
        Some(ExternType::Memory(memory)) => memory,
        Some(_) => return Err(format!("export {MEMORY_EXPORT:?} is not a memory")),
        None => return Err(format!("no export {MEMORY_EXPORT:?}")),
    };
    let least = memory.minimum().saturating_mul(PAGE_BYTES);
    if least > manifest.limits.memory_bytes {
        let limit = manifest.limits.memory_bytes;
        return Err(format!("memory starts with {least} bytes, the manifest allows {limit}"));
    }
    let (name, results) = match &entry {
        Entry::Core(name) => (name.as_str(), 1),
        Entry::Wasi => (wasi::ENTRY, 0),
    };
    let Some(ExternType::Func(function)) = module.get_export(name) else {
        return Err(format!("no exported function {name:?}"));
    };
    let is_i32 = |ty: ValType| matches!(ty, ValType::I32);
    if function.params().len() != 0 || function.results().len() != results || !function.results().all(is_i32) {
        let wanted = if results == 1 { "() -> i32" } else { "() -> ()" };
        return Err(format!("export {name:?} is not {wanted}"));
    }
    let charges = module.imports().any(|i| i.module() == IMPORT_MODULE && i.name() == import::CHARGE);
    Ok(Ready {
        plant: Arc::clone(plant),
        pre: linker.instantiate_pre(module).map_err(|error| format!("{error:#}"))?,
        memory: module.get_export_index(MEMORY_EXPORT).ok_or("no memory export")?,
        stack: module.get_export_index(STACK_EXPORT),
        host_starts: module.get_export_index(START_EXPORT).is_some(),
        flat_unit: matches!(entry, Entry::Wasi) && !charges,
        entry,
        from_cache,
    })
}

//! One attempt from its arguments to its end. A store is made for it and dropped with it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use p2c2r_signing::{Manifest, Outcome, Profile, ResultClass, TraceRoot, TrapCode};
use wasmtime::{Instance, Store};

use crate::attempt::{Attempt, Execution, HostFault, LogLevel, LogLine, PathKind};
use crate::ending::{Stop, classify};
use crate::engine::Metering;
use crate::gpu::{Gpu, GpuAttempt, GpuSession, GpuStop, ReferenceSession, Until};
use crate::host::gpu::host_fault;
use crate::kernel::{Entry, Kernel, Ready};
use crate::log::Log;
use crate::rewrite::START_EXPORT;
use crate::state::{Clock, GuestMemory, Output, State, Units};
use crate::ticker::Ticker;
use crate::trace;
use crate::wasi::{self, Wasi};

/// The GPU of an attempt, if it takes that path.
pub(crate) type Opened = Result<Option<Box<dyn GpuAttempt>>, HostFault>;

/// Runs `attempt` on the calling thread; `open` gives it its GPU.
pub(crate) fn run(
    kernel: &Kernel,
    attempt: Attempt,
    open: impl FnOnce(&Clock, PathKind) -> Opened,
) -> Result<Execution, HostFault> {
    let started = Instant::now();
    attempt.check(kernel.manifest())?;
    let ready = match kernel.ready() {
        Ok(ready) => ready,
        Err(reason) => return Ok(bad_abi(reason, started)),
    };
    let after = attempt.deadline();
    let clock = Clock { ends: started + after, after, cancel: attempt.cancel.clone() };
    // A panic below is a bug of the host; it costs this attempt and not the peer.
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let gpu = open(&clock, attempt.path)?;
        execute(kernel.manifest(), ready, gpu, attempt, clock)
    }));
    let mut execution = ended.unwrap_or_else(|_| Err(HostFault::Internal("panicked".to_owned())))?;
    execution.duration = started.elapsed();
    Ok(execution)
}

fn execute(
    manifest: &Manifest,
    ready: &Ready,
    gpu: Option<Box<dyn GpuAttempt>>,
    attempt: Attempt,
    clock: Clock,
) -> Result<Execution, HostFault> {
    let limits = &manifest.limits;
    let plant = &*ready.plant;
    let wasi = matches!(manifest.profile, Profile::Wasi).then(|| Wasi::new(attempt.input.clone(), &attempt.seed));
    let state = State {
        memory: GuestMemory::Unknown(ready.memory),
        input: attempt.input,
        blobs: attempt.blobs,
        seed: attempt.seed,
        output: Output { bytes: Vec::new(), limit_bytes: usize::try_from(limits.output_bytes).unwrap_or(usize::MAX) },
        log: Log::default(),
        units: Units { charged: 0, limit: limits.units.min(attempt.max_units) },
        gpu,
        wasi: wasi.map(Box::new),
        memory_limit_bytes: usize::try_from(limits.memory_bytes).unwrap_or(usize::MAX),
        clock,
    };
    state.clock.check().map_err(fault)?;

    let internal = |error: wasmtime::Error| HostFault::Internal(format!("{error:#}"));
    let mut store = Store::try_new(&plant.engine, state).map_err(|e| HostFault::OutOfMemory(e.to_string()))?;
    store.limiter(|state| state);
    if plant.ticker.is_some() {
        store.epoch_deadline_callback(|context| Ok(context.data().clock.check()?));
        store.set_epoch_deadline(1);
    }
    if plant.metering == Metering::Fuel {
        store.set_fuel(manifest.fuel.unwrap_or(0)).map_err(internal)?;
    }

    let awake = plant.ticker.as_ref().map(Ticker::keep_awake);
    let instance = ready.pre.instantiate(&mut store);
    let (outcome, memory) = match instance {
        Err(error) => (classify(&error, plant.workers)?, None),
        Ok(instance) => {
            let memory = instance.get_module_export(&mut store, &ready.memory).and_then(wasmtime::Extern::into_memory);
            if let Some(memory) = memory {
                store.data_mut().memory = GuestMemory::Known(memory);
            }
            let procedure = |store: &mut Store<State>, name: &str| {
                let function = instance.get_typed_func::<(), ()>(&mut *store, name).map_err(internal)?;
                Ok::<_, HostFault>(function.call(store, ()))
            };
            let started = if ready.host_starts { procedure(&mut store, START_EXPORT)? } else { Ok(()) };
            let failed_to_start = started.is_err();
            let returned = match (started, &ready.entry) {
                (Err(error), _) => Err(error),
                (Ok(()), Entry::Core(name)) => {
                    let entry = instance.get_typed_func::<(), i32>(&mut store, name).map_err(internal)?;
                    entry.call(&mut store, ())
                }
                (Ok(()), Entry::Wasi) => procedure(&mut store, wasi::ENTRY)?.map(|()| 0),
            };
            let outcome = match returned {
                Ok(0) => Outcome::Output,
                Ok(code) => Outcome::Failed(code),
                Err(error) => classify(&error, plant.workers)?,
            };
            let stack_ended =
                outcome == Outcome::Trap(TrapCode::Unreachable) && stack_ended(&instance, &mut store, ready);
            let outcome = if stack_ended { Outcome::Trap(TrapCode::StackLimit) } else { outcome };
            // A start function that fails is an instantiation that fails, whoever called it.
            (outcome, memory.filter(|_| !failed_to_start))
        }
    };
    drop(awake);

    let buffers = match store.data_mut().gpu.as_mut().map(|gpu| gpu.trace()) {
        Some(Err(GpuStop::Fault(fault))) => return Err(host_fault(fault, &store.data().clock)),
        Some(Err(GpuStop::Trap)) => Some(None),
        Some(Ok(buffers)) => Some(Some(buffers)),
        None => None,
    };
    // However the guest went on: it may not have looked.
    let outcome = if buffers == Some(None) { Outcome::Trap(TrapCode::ShaderFuel) } else { outcome };

    let mut hasher = match memory {
        Some(memory) => trace::memory(Some(memory.data_mut(&mut store)), outcome),
        None => trace::memory(None, outcome),
    };
    let state = store.into_data();
    // What a shader left that was cut short is no part of it.
    match buffers {
        None => hasher.update(&[0]),
        Some(Some(buffers)) => hasher.update(&[1]).update(buffers.as_bytes()),
        Some(None) => hasher.update(&[2]),
    };
    Ok(Execution {
        outcome,
        output: state.output.bytes,
        units: if ready.flat_unit { state.units.limit.min(1) } else { state.units.charged },
        trace_root: trace::root(&hasher),
        log: state.log.finish(),
        duration: std::time::Duration::ZERO,
    })
}

/// Whether the trap came from the count of the logical stack: nothing else leaves it below zero.
fn stack_ended(instance: &Instance, store: &mut Store<State>, ready: &Ready) -> bool {
    let Some(export) = &ready.stack else { return false };
    let count = instance.get_module_export(&mut *store, export).and_then(wasmtime::Extern::into_global);
    count.and_then(|count| count.get(store).i32()).is_some_and(|slots| slots < 0)
}

/// What does the shaders' work in this process, if the attempt takes a path that has some.
pub(crate) fn open_gpu(kernel: &Kernel, gpu: Option<&Gpu>, path: PathKind, clock: &Clock) -> Opened {
    let refuse = |reason: &str| HostFault::Gpu(reason.to_owned());
    let until = match clock.cancel.clone() {
        Some(cancel) => Until::deadline_or(clock.ends, move || cancel.is_cancelled()),
        None => Until::from(clock.ends),
    };
    let gpu = match path {
        PathKind::Cpu => return Ok(None),
        PathKind::Gpu => gpu,
        PathKind::Exact if kernel.manifest().result_class != ResultClass::Exact => {
            return Err(refuse("the kernel does not claim to be exact"));
        }
        PathKind::Exact => gpu.filter(|gpu| gpu.info().may_vote_on(ResultClass::Exact)),
    };
    if gpu.is_none() && path == PathKind::Exact {
        let limits = kernel.manifest().gpu.as_ref().ok_or_else(|| refuse("the manifest names no gpu use"))?;
        let shaders = kernel.exact_shaders().as_ref().map_err(|reason| refuse(reason))?;
        let session = ReferenceSession::new(shaders, limits, until).map_err(|fault| host_fault(fault, clock))?;
        return Ok(Some(Box::new(session)));
    }
    let gpu = gpu.ok_or_else(|| refuse("this sandbox has no adapter"))?;
    if kernel.manifest().result_class == ResultClass::Device && !gpu.info().may_vote_on(ResultClass::Device) {
        return Err(refuse("this adapter's floats are not to be relied on"));
    }
    let limits = kernel.manifest().gpu.as_ref().ok_or_else(|| refuse("the manifest names no gpu use"))?;
    let shaders = kernel.shaders().ok_or_else(|| refuse("the kernel was loaded where there was no adapter"))?;
    let shaders = shaders.as_ref().map_err(|reason| refuse(reason))?;
    let session = GpuSession::new(gpu, shaders, limits, until).map_err(|fault| host_fault(fault, clock))?;
    Ok(Some(Box::new(session)))
}

fn bad_abi(reason: &str, started: Instant) -> Execution {
    let outcome = Outcome::BadAbi;
    let mut hasher = trace::memory(None, outcome);
    hasher.update(&[0]);
    let trace_root: TraceRoot = trace::root(&hasher);
    let log = vec![LogLine { level: LogLevel::Panic, text: reason.to_owned() }];
    Execution { outcome, output: Vec::new(), units: 0, trace_root, log, duration: started.elapsed() }
}

fn fault(stop: Stop) -> HostFault {
    match stop {
        Stop::Fault(fault) => fault,
        other => HostFault::Internal(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use p2c2r_signing::{SecretKey, TrustedKeys, VerifiedModule, attach, sign_module, verify_module};

    use super::*;
    use crate::limits::DEADLINE;
    use crate::{GpuPolicy, Sandbox, SandboxConfig};

    const MANIFEST: &str = r#"{"name": "test", "version": "1.0.0", "abi": 1, "publisher": "Test", "unit": "unit"}"#;

    /// Without an adapter.
    fn sandbox() -> Sandbox {
        Sandbox::new(SandboxConfig { gpu: GpuPolicy::Off, workers: 1, ..SandboxConfig::default() }).unwrap()
    }

    /// A module that does nothing.
    fn module(manifest: &str, shaders: &[(String, String)]) -> VerifiedModule {
        let wasm = r#"(module (memory (export "memory") 1) (func (export "p2c2r_main") (result i32) (i32.const 0)))"#;
        let wasm = wat::parse_str(wasm).unwrap();
        let wasm = attach(&wasm, &Manifest::from_json(manifest.as_bytes()).unwrap(), shaders).unwrap();
        let key = SecretKey::generate();
        verify_module(sign_module(&wasm, &key).unwrap(), &TrustedKeys::from(key.public())).unwrap()
    }

    /// One that uses a GPU in a kernel of this class.
    fn shaded(class: &str) -> VerifiedModule {
        let gpu = r#""gpu": {"buffers": 1, "buffer_bytes": 4, "dispatches": 1, "workgroups": 1}"#;
        let manifest = MANIFEST.replace("}", &format!(r#", "result_class": "{class}", {gpu}}}"#));
        let wgsl = "@group(0) @binding(0) var<storage, read_write> w: array<u32>;
            @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3<u32>) { w[id.x] = 7u; }";
        module(&manifest, &[("seven".to_owned(), wgsl.to_owned())])
    }

    /// Which adapter an attempt gets follows from what the suite found about it, and from nothing else.
    #[test]
    fn an_adapter_does_what_it_may_vote_on() {
        const FLOATS: &str = "this adapter's floats are not to be relied on";
        // What is reached with an adapter that does the work: this sandbox has prepared no shaders for one.
        const ADAPTER: &str = "the kernel was loaded where there was no adapter";
        let Some(mut gpu) = Gpu::here() else { return };
        let (exact, device) = ("exact", "device");
        for (class, path, right_loops, right_floats, want) in [
            (device, PathKind::Gpu, true, true, Some(ADAPTER)),
            (device, PathKind::Gpu, false, true, Some(ADAPTER)),
            (device, PathKind::Gpu, true, false, Some(FLOATS)),
            (exact, PathKind::Gpu, true, false, Some(ADAPTER)),
            (exact, PathKind::Exact, true, false, Some(ADAPTER)),
            // By the reference.
            (exact, PathKind::Exact, false, true, None),
        ] {
            gpu.change(|info| {
                info.unfit_loops = if right_loops { Vec::new() } else { vec!["loops".to_owned()] };
                info.unfit_floats = (!right_floats).then(|| "floats".to_owned());
            });
            let kernel = sandbox().load(&shaded(class)).unwrap();
            let clock = Clock { ends: Instant::now() + DEADLINE, after: DEADLINE, cancel: None };
            let opened = open_gpu(&kernel, Some(&gpu), path, &clock);
            let refused = opened.map(|opened| assert!(opened.is_some())).err();
            let about = format!("{class} {path:?} {right_loops} {right_floats}");
            assert_eq!(refused, want.map(|reason| HostFault::Gpu(reason.to_owned())), "{about}");
        }
    }

    #[test]
    fn a_kernel_that_is_loaded_has_what_the_reference_needs() {
        let sandbox = sandbox();
        let has = |module| sandbox.load(&module).unwrap().has_exact_shaders();
        assert!(sandbox.load(&shaded("exact")).unwrap().exact_shaders().is_ok());
        assert!(has(shaded("exact")));
        assert!(!has(shaded("device")), "it never runs there");
        assert!(!has(module(MANIFEST, &[])));
        let Some(gpu) = Gpu::here() else { return };
        let with = |class| {
            let module = shaded(class);
            let compiled = sandbox.compile(&module).unwrap();
            let plant = crate::engine::Plant::new(
                Metering::Plain,
                1,
                crate::Runaway::Interrupted,
                crate::engine::Bounds::Guarded,
            );
            Kernel::with_code(&module, &std::sync::Arc::new(plant.unwrap()), &compiled, false, Some(&gpu)).unwrap()
        };
        let kernel = with("exact");
        assert!(std::ptr::eq(kernel.exact_shaders(), kernel.shaders().unwrap()), "they are made once");
    }

    /// What the attempt is given, not only what a function says that it should be.
    #[test]
    fn an_attempt_gets_its_deadline_up_to_the_longest() {
        let sandbox = sandbox();
        let kernel = sandbox.load(&module(MANIFEST, &[])).unwrap();
        for (asked, given) in [
            (DEADLINE - Duration::from_nanos(1), DEADLINE - Duration::from_nanos(1)),
            (DEADLINE, DEADLINE),
            (DEADLINE + Duration::from_nanos(1), DEADLINE),
            (Duration::MAX, DEADLINE),
        ] {
            let mut clock = None;
            let before = Instant::now();
            let attempt = Attempt { deadline: asked, ..Attempt::new("") };
            let ran = run(&kernel, attempt, |given, _path| {
                clock = Some((given.after, given.ends));
                Ok(None)
            });
            assert_eq!(ran.unwrap().outcome, Outcome::Output);
            let (after, ends) = clock.unwrap();
            assert_eq!(after, given, "{asked:?}");
            assert!(ends >= before + given && ends <= Instant::now() + given, "{asked:?}");
        }
    }
}

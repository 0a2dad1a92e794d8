//! wasmi, an interpreter, as a second opinion: it shares no code generator with wasmtime.

use p2c2r_signing::{Outcome, TraceRoot, TrapCode};
use wasmi::{AsContext, Caller, Config, Engine, Extern, Linker, Memory, Module, Store};

use crate::rewrite::{STACK_EXPORT, START_EXPORT};
use crate::trace;

/// Runs a module that was rewritten, with the imports that the corpus uses.
pub(super) fn run(wasm: &[u8]) -> (Outcome, Vec<u8>, TraceRoot) {
    let mut config = Config::default();
    // Deep enough that the logical stack ends first.
    config.set_max_recursion_depth(1 << 20).set_max_stack_height(256 << 20);
    let engine = Engine::new(&config);
    let module = Module::new(&engine, wasm).unwrap_or_else(|error| panic!("wasmi refuses: {error}"));
    let mut store = Store::new(&engine, Vec::new());
    let mut linker = Linker::new(&engine);
    linker
        .func_wrap("p2c2r_v1", "output_write", |mut caller: Caller<'_, Vec<u8>>, at: i32, len: i32| -> i32 {
            let memory = caller.get_export("memory").and_then(Extern::into_memory).expect("a memory");
            let (memory, output) = memory.data_and_store_mut(&mut caller);
            output.extend_from_slice(&memory[at as usize..][..len as usize]);
            0
        })
        .expect("a new name");

    let mut memory: Option<Memory> = None;
    let ended = linker.instantiate_and_start(&mut store, &module).map(|instance| {
        let ended = instance
            .get_func(&store, START_EXPORT)
            .map_or(Ok(()), |start| start.typed::<(), ()>(&store)?.call(&mut store, ()));
        let ended = ended.and_then(|()| {
            memory = instance.get_memory(&store, "memory");
            instance.get_typed_func::<(), i32>(&store, "p2c2r_main")?.call(&mut store, ())
        });
        let depth = instance.get_global(&store, STACK_EXPORT).and_then(|depth| depth.get(&store).i32());
        ended.map_err(|error| (error, depth.is_some_and(|depth| depth < 0)))
    });
    let outcome = match ended {
        Ok(Ok(0)) => Outcome::Output,
        Ok(Ok(code)) => Outcome::Failed(code),
        Ok(Err((error, below_zero))) => Outcome::Trap(trap(&error, below_zero)),
        Err(error) => Outcome::Trap(trap(&error, false)),
    };
    let mut bytes = memory.map(|memory| memory.data(store.as_context()).to_vec());
    let mut hasher = trace::memory(bytes.as_deref_mut(), outcome);
    hasher.update(&[0]);
    (outcome, store.into_data(), trace::root(&hasher))
}

fn trap(error: &wasmi::Error, below_zero: bool) -> TrapCode {
    use wasmi::TrapCode as T;
    match error.as_trap_code() {
        Some(T::UnreachableCodeReached) if below_zero => TrapCode::StackLimit,
        Some(T::UnreachableCodeReached) => TrapCode::Unreachable,
        Some(T::MemoryOutOfBounds) => TrapCode::MemoryOutOfBounds,
        Some(T::TableOutOfBounds) => TrapCode::TableOutOfBounds,
        Some(T::IndirectCallToNull) => TrapCode::IndirectCallToNull,
        Some(T::IntegerDivisionByZero) => TrapCode::IntegerDivisionByZero,
        Some(T::IntegerOverflow) => TrapCode::IntegerOverflow,
        Some(T::BadConversionToInteger) => TrapCode::BadConversionToInteger,
        Some(T::BadSignature) => TrapCode::BadSignature,
        _ => panic!("wasmi: {error}"),
    }
}

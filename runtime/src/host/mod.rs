//! The imports of `p2c2r_v1`, as `p2c2r_abi` documents them. Every import is a function of the task and of the calls
//! before it. Pointers are checked before anything else; what they point at is copied.

mod data;
pub(crate) mod gpu;

use wasmtime::Linker;

use crate::state::State;

/// Defines all imports of the contract.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    data::link(linker)?;
    gpu::link(linker)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    use bytes::Bytes;
    use p2c2r_abi::{IMPORT_MODULE, import};
    use wasmtime::{ExternType, Module, Store};

    use super::*;
    use crate::WASI_IMPORTS;
    use crate::engine::{Metering, Plant};
    use crate::log::Log;
    use crate::state::{Clock, GuestMemory, Output, Units};

    /// `(name: i32, name: i64) -> i32` without the names.
    fn types_only(signature: &str) -> String {
        let (parameters, result) = signature[1..].split_once(')').expect("a closing parenthesis");
        // The longest come from `stringify!`, which breaks lines.
        let types: Vec<_> = parameters.split(',').filter_map(|p| Some(p.split_once(':')?.1.trim())).collect();
        format!("({}){result}", types.join(", "))
    }

    fn signature(ty: &ExternType) -> String {
        let ExternType::Func(ty) = ty else { panic!("an import is no function: {ty:?}") };
        let words = |types: Vec<String>| types.join(", ");
        let parameters = words(ty.params().map(|ty| ty.to_string()).collect());
        let results = words(ty.results().map(|ty| ty.to_string()).collect());
        format!("({parameters}){}", if results.is_empty() { results } else { format!(" -> {results}") })
    }

    #[test]
    fn what_is_linked_is_what_the_tables_say() {
        let plant =
            Plant::new(Metering::Plain, 1, crate::sandbox::Runaway::Interrupted, crate::engine::Bounds::Guarded)
                .expect("an engine");
        let module =
            Module::new(&plant.engine, wat::parse_str(r#"(module (memory (export "memory") 1))"#).expect("wat"));
        let memory = module.expect("a module").get_export_index("memory").expect("an export");
        let state = State {
            memory: GuestMemory::Unknown(memory),
            input: Bytes::new(),
            blobs: Vec::new(),
            seed: [0; 32],
            output: Output { bytes: Vec::new(), limit_bytes: 0 },
            log: Log::default(),
            units: Units { charged: 0, limit: 0 },
            gpu: None,
            wasi: None,
            memory_limit_bytes: 0,
            clock: Clock { ends: Instant::now(), after: Duration::ZERO, cancel: None },
        };
        let mut store = Store::new(&plant.engine, state);
        let core = import::ALL.iter().map(|(name, types)| (IMPORT_MODULE, *name, *types));
        let wasi = WASI_IMPORTS.iter().map(|(name, types)| ("wasi_snapshot_preview1", *name, *types));
        for (linker, wanted) in
            [(&plant.core, core.clone().collect::<Vec<_>>()), (&plant.wasi, core.chain(wasi).collect())]
        {
            let items: Vec<_> = linker.iter(&mut store).collect();
            let linked: BTreeMap<_, _> =
                items.into_iter().map(|(module, name, item)| ((module, name), signature(&item.ty(&store)))).collect();
            let wanted: BTreeMap<_, _> =
                wanted.into_iter().map(|(module, name, types)| ((module, name), types_only(types))).collect();
            assert_eq!(linked, wanted);
        }
    }
}

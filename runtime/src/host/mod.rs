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

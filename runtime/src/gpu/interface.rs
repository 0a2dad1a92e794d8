//! What a dispatch must give a shader: enough to know the status of every call without the shader itself.

use p2c2r_shader::Grid;
use serde::{Deserialize, Serialize};

/// One shader of a module, as a guest meets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    pub(super) name: String,
    /// Its buffers in ascending order of index, without those of our own.
    pub(super) bindings: Vec<Binding>,
    /// Over which workgroups it may be dispatched.
    pub(super) grid: Grid,
}

/// One storage buffer of a shader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Binding {
    pub(super) index: u32,
    pub(super) writable: bool,
    /// Smallest buffer that fits the declared type, a runtime-sized array counted as one element.
    pub(super) min_bytes: u64,
}

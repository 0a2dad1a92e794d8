//! What a dispatch must give a shader: enough to know the status of every call without the shader itself.

use std::fmt;

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

impl fmt::Display for Interface {
    /// As `binding 0: at least 4 bytes, may be written; binding 3: at least 16 bytes; dispatched along x and y`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Binding { index, writable, min_bytes } in &self.bindings {
            let written = if *writable { ", may be written" } else { "" };
            write!(f, "binding {index}: at least {min_bytes} bytes{written}; ")?;
        }
        write!(f, "dispatched along {}", along(self.grid.axes()))
    }
}

/// The first so many axes.
pub(super) const fn along(axes: usize) -> &'static str {
    match axes {
        0 | 1 => "x",
        2 => "x and y",
        _ => "x, y and z",
    }
}

/// One storage buffer of a shader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Binding {
    pub(super) index: u32,
    pub(super) writable: bool,
    /// Smallest buffer that fits the declared type, a runtime-sized array counted as one element.
    pub(super) min_bytes: u64,
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_a_dispatch_must_give_in_a_line() {
        let wgsl = "struct Size { side: vec2<u32> }
            @group(0) @binding(3) var<storage, read> size: Size;
            @group(0) @binding(0) var<storage, read_write> to: array<u32>;
            @compute @workgroup_size(8, 8) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
                let width = min(size.side.x, 4096u);
                if id.x < width { to[id.y * width + id.x] = id.x; }
            }";
        let want = "binding 0: at least 4 bytes, may be written; binding 3: at least 8 bytes; dispatched along x and y";
        assert_eq!(crate::gpu::interface(wgsl).expect("a plain shader").to_string(), want);
    }
}

//! Bounds of a task. They are the kernel's own; the manifest's bound what it may take from the machine.

/// Cells of a terrain: 512 by 512.
pub const CELLS: u32 = 1 << 18;

/// Steps of a task.
pub const STEPS: u32 = 1024;

/// Cells times steps: 512 steps of the largest terrain.
pub const CELL_STEPS: u64 = 1 << 27;

/// Springs and drains; each cell looks at all of them in each step.
pub const SPRINGS: usize = 32;

/// Depth of water, in 1/65536 of a metre: 16 km. A cell takes no more, so that no sum of the shaders wraps.
pub const DEPTH: u32 = (1 << 30) - 1;

/// Height of the ground above or below zero, in 1/65536 of a metre: 8 km. With [`DEPTH`] the difference of two levels fits a word.
pub const GROUND: i32 = 1 << 29;

/// What rain, a spring or a drain changes a depth by in a step, in 1/65536 of a metre: 256 m.
pub const FLOW: u32 = 1 << 24;

/// Largest `pull`: above a quarter, waves grow by themselves.
pub const PULL: i32 = 1 << 14;

/// Bytes of a terrain's blob.
pub const TERRAIN_BYTES: u64 = 12 + 4 * CELLS as u64;

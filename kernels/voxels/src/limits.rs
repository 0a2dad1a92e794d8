//! Bounds of a task. They are the kernel's own; the manifest's bound what it may take from the machine.

/// Pixels along one side of an image.
pub const SIDE_PIXELS: u32 = 4096;

/// Pixels of one task.
pub const TASK_PIXELS: u64 = 1 << 20;

/// Samples of a pixel.
pub const SAMPLES: u32 = 1024;

/// Surfaces a path may meet.
pub const BOUNCES: u32 = 6;

/// Voxels along a side of the world.
pub const SIDE: u32 = 128;

/// Materials of a world; a voxel is one byte, and 0 is air.
pub const MATERIALS: usize = 256;

/// Bytes of a world's blob.
pub const WORLD_BYTES: u64 = 128 + 32 * MATERIALS as u64 + (SIDE as u64).pow(3);

/// Distance of camera and target from the origin along each axis, in 1/65536 of a voxel.
pub const PLACE: i32 = 256 << 16;

/// Any light or colour, in 1/65536: 256.
pub const LIGHT: i32 = 256 << 16;

/// Voxels one ray may cross. One past it sees the sky; from within a world of the largest size no ray needs more than 384.
pub const STEPS: u32 = 512;

/// Samples of one dispatch, so that an invocation stays inside its loop budget.
pub const BATCH_SAMPLES: u32 = 8;

/// Loop iterations a shader invocation may run; `LOOP_FUEL` of `runtime/shader/src/limits.rs`.
const LOOP_FUEL: u32 = 57_344;

const _: () = assert!(BATCH_SAMPLES * (2 + BOUNCES * (3 + 2 * STEPS)) < LOOP_FUEL);
const _: () = assert!(SAMPLES.div_ceil(BATCH_SAMPLES) <= 128, "dispatches in p2c2r.toml");

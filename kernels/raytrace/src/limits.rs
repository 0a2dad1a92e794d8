//! Bounds of a task. They are the kernel's own; the manifest's bound what it may take from the machine.

/// Pixels along one side of an image.
pub const SIDE_PIXELS: u32 = 4096;

/// Pixels of one task.
pub const TASK_PIXELS: u64 = 1 << 20;

/// Samples of a pixel.
pub const SAMPLES: u32 = 1024;

/// Surfaces a path may meet.
pub const BOUNCES: u32 = 8;

/// Bytes of a scene blob.
pub const SCENE_BYTES: u64 = 16 << 20;

/// Vertices, and triangles, of a mesh.
pub const TRIANGLES: u32 = 100_000;

/// Spheres of a scene; the shader's array has this size.
pub const SPHERES: usize = 8;

/// Materials of a scene; the shader's array has this size.
pub const MATERIALS: usize = 16;

/// Triangles in a leaf of the BVH; the shader tests them without a loop.
pub const LEAF_TRIANGLES: u32 = 2;

/// Levels of the BVH: the size of the traversal's stack.
pub const DEPTH: u32 = 32;

/// Nodes one ray may open. A ray past it misses the rest, the same on every machine; the studio scene's worst ray needs
/// less than half.
pub const STEPS: u32 = 256;

/// Samples of one GPU dispatch. Lavapipe silently ends a shader's loops after 65,535 iterations in all; eight samples
/// of eight bounces with two rays of at most [`STEPS`] nodes each stay under it.
pub const BATCH_SAMPLES: u32 = 8;

const _: () = assert!((BATCH_SAMPLES * (1 + BOUNCES * (1 + 2 * (STEPS + SPHERES as u32)))) < 65_535);
const _: () = assert!(SAMPLES.div_ceil(BATCH_SAMPLES) <= 256, "dispatches in p2c2r.toml");

//! Hard maxima of keys, modules and manifests, each with its unit and reason. A manifest may ask for less, never more.

/// Bytes of a whole module. The largest kernel in the tree is under 2 MiB; a peer keeps a module in memory while it
/// checks it.
pub const MODULE_BYTES: usize = 32 << 20;

/// Sections of a module. Compilers emit under 30, debug builds of C under 40.
pub const SECTIONS: usize = 256;

/// Bytes of the manifest's JSON text. The longest sensible one is under 2 KiB.
pub const MANIFEST_BYTES: usize = 16 << 10;

/// Shaders of a module.
pub const SHADERS: usize = 64;

/// Bytes of one shader's WGSL text.
pub const SHADER_BYTES: usize = 256 << 10;

/// Bytes of a kernel, shader or entry name.
pub const NAME_BYTES: usize = 64;

/// Bytes of a publisher.
pub const PUBLISHER_BYTES: usize = 128;

/// Bytes of a unit's name; it is printed beside every figure.
pub const UNIT_BYTES: usize = 32;

/// Bytes of one page of linear memory (WebAssembly core specification); memory is granted in whole pages.
pub const PAGE_BYTES: u64 = 64 << 10;

/// Bytes of linear memory. A peer with 8 GiB must be able to run several attempts.
pub const MEMORY_BYTES: u64 = 1 << 30;

/// Bytes of an input: one frame's payload of the wire. Larger data travels as blobs.
pub const INPUT_BYTES: u64 = 8 << 20;

/// Bytes of an output: one frame's payload of the wire.
pub const OUTPUT_BYTES: u64 = 8 << 20;

/// Units of one attempt. With a rate of up to 10^6 nano-USD and 5 replicas the reserve still fits 64 bits.
pub const UNITS: u64 = 1 << 40;

/// Fuel of one attempt, in wasmtime's fuel units (about one per instruction): more than the longest deadline allows.
pub const FUEL: u64 = 1 << 44;

/// Live GPU buffers of one attempt.
pub const GPU_BUFFERS: u32 = 64;

/// Bytes in all live GPU buffers of one attempt; what a 4 GiB adapter spares beside its owner's use.
pub const GPU_BUFFER_BYTES: u64 = 1 << 30;

/// Dispatches of one attempt.
pub const GPU_DISPATCHES: u32 = 65_536;

/// Workgroups of one dispatch, all dimensions multiplied.
pub const GPU_WORKGROUPS: u32 = 1 << 24;

/// Keys in one set of trusted keys; a module without key id is tried against each (36 us apiece).
pub const TRUSTED_KEYS: usize = 64;

/// Keys, and contents, in one revocation list; 256 KiB at most.
pub const REVOCATIONS: usize = 4096;

/// Bytes of a key file.
pub const KEY_FILE_BYTES: usize = 4096;

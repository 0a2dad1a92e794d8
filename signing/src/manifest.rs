//! What a kernel says about itself: the JSON text of the custom section `p2c2r.manifest`, covered by the signature.

use serde::{Deserialize, Serialize};

/// A kernel's manifest. Unknown fields are errors: a peer must understand every rule it enforces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Name within the publisher, `[a-z0-9-]`, 1 to 64 bytes, starting with a letter.
    pub name: String,
    /// Semantic version, `major.minor.patch`.
    pub version: String,
    /// Version of the import contract, `p2c2r_abi::ABI_VERSION`.
    pub abi: u32,
    /// Who publishes it, for people; 1 to 128 bytes. Trust rests on the key, not on this.
    pub publisher: String,
    /// Guest profile.
    #[serde(default)]
    pub profile: Profile,
    /// Exported function the host calls, `() -> i32`.
    #[serde(default = "default_entry")]
    pub entry: String,
    /// Bounds the sandbox enforces.
    #[serde(default)]
    pub limits: Limits,
    /// GPU use; absent means the kernel never dispatches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<Gpu>,
    /// Whether its GPU results compare across adapters.
    #[serde(default)]
    pub result_class: ResultClass,
    /// What the vote covers.
    #[serde(default)]
    pub vote: VoteKind,
    /// Name of one unit of work, singular: `agent`, `contact`, `ray`.
    pub unit: String,
    /// Fuel per attempt; present makes the kernel metered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// How a large task splits; absent means it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
}

/// What the guest may import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Only `p2c2r_v1`.
    #[default]
    Core,
    /// WASI preview 1 command on a virtual, deterministic WASI: input on stdin, output on stdout.
    Wasi,
}

/// Bounds on one attempt. Defaults suit a small kernel; the hard maxima are in [`crate::limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Linear memory, bytes.
    pub memory_bytes: u64,
    /// Input, bytes.
    pub input_bytes: u64,
    /// Output, bytes.
    pub output_bytes: u64,
    /// Units one attempt may charge.
    pub units: u64,
}

/// Bounds on GPU use of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gpu {
    /// Live buffers.
    pub buffers: u32,
    /// Bytes in all live buffers.
    pub buffer_bytes: u64,
    /// Dispatches.
    pub dispatches: u32,
    /// Workgroups of one dispatch (x * y * z).
    pub workgroups: u32,
    /// Whether the guest also runs where `gpu_caps` says there is none.
    #[serde(default)]
    pub cpu_path: bool,
}

/// Where results of the GPU path compare bit for bit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResultClass {
    /// On every adapter and on the CPU.
    #[default]
    Exact,
    /// Inside one numeric class only.
    Device,
}

/// What a vote covers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoteKind {
    /// Outcome, output, units and trace root.
    #[default]
    Trace,
}

/// Input is `header_bytes` and then items of `item_bytes` each; a part is the header with a run of items, and the
/// outputs of the parts, in order, are the output of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Bytes repeated in front of every part.
    pub header_bytes: u32,
    /// Bytes of one item, at least 1.
    pub item_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_bytes: 16 << 20, input_bytes: 1 << 20, output_bytes: 1 << 20, units: 1 << 32 }
    }
}

fn default_entry() -> String {
    "p2c2r_main".to_owned()
}

//! What a kernel says about itself: the JSON text of the custom section `p2c2r.manifest`, covered by the signature.

use serde::{Deserialize, Serialize};

use crate::limits;

/// The version of the import contract (`p2c2r_abi::ABI_VERSION`) this crate reads manifests of.
pub const ABI_VERSION: u32 = 1;

/// A manifest that does not parse or breaks a bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Too long to look at.
    #[error("manifest is {bytes} bytes, the limit is {}", limits::MANIFEST_BYTES)]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not the JSON of a manifest.
    #[error("manifest is not valid: {reason}")]
    Json {
        /// The parser's reason, with line and column.
        reason: String,
    },
    /// A field outside its bound.
    #[error("manifest field {field} is {value}, want {want}")]
    Field {
        /// The field's path, `limits.memory_bytes`.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is accepted.
        want: String,
    },
}

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

impl Manifest {
    /// Reads and checks the text of a manifest section.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn from_json(text: &[u8]) -> Result<Self, ManifestError> {
        if text.len() > limits::MANIFEST_BYTES {
            return Err(ManifestError::TooLarge { bytes: text.len() });
        }
        let manifest: Self = serde_json::from_slice(text).map_err(|e| ManifestError::Json { reason: e.to_string() })?;
        manifest.validate()?;
        Ok(manifest)
    }

    /// The text of the manifest section, after checking it. The same manifest gives the same text.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn to_json(&self) -> Result<Vec<u8>, ManifestError> {
        self.validate()?;
        let text = serde_json::to_vec(self).map_err(|e| ManifestError::Json { reason: e.to_string() })?;
        if text.len() > limits::MANIFEST_BYTES {
            return Err(ManifestError::TooLarge { bytes: text.len() });
        }
        Ok(text)
    }

    /// Checks every field against its form and its hard maximum in [`crate::limits`].
    ///
    /// # Errors
    /// [`ManifestError::Field`] for the first field that breaks one.
    pub fn validate(&self) -> Result<(), ManifestError> {
        word("name", &self.name, limits::NAME_BYTES, b"-")?;
        version(&self.version)?;
        range("abi", self.abi, ABI_VERSION, ABI_VERSION)?;
        let printable = !self.publisher.trim().is_empty() && !self.publisher.chars().any(char::is_control);
        if !printable || self.publisher.len() > limits::PUBLISHER_BYTES {
            let want = format!("1 to {} bytes of printable text", limits::PUBLISHER_BYTES);
            return Err(field("publisher", &self.publisher, want));
        }
        let identifier = |b: u8| b.is_ascii_alphanumeric() || b"_.$-".contains(&b);
        if self.entry.is_empty() || self.entry.len() > limits::NAME_BYTES || !self.entry.bytes().all(identifier) {
            return Err(field("entry", &self.entry, format!("1 to {} of A-Z a-z 0-9 _ . $ -", limits::NAME_BYTES)));
        }
        word("unit", &self.unit, limits::UNIT_BYTES, b"_-")?;
        self.limits.validate()?;
        if let Some(fuel) = self.fuel {
            range("fuel", fuel, 1, limits::FUEL)?;
        }
        if let Some(gpu) = &self.gpu {
            gpu.validate()?;
            if self.profile == Profile::Wasi {
                return Err(field("gpu", "present", "absent: a wasi kernel cannot dispatch".to_owned()));
            }
        } else if self.result_class == ResultClass::Device {
            return Err(field("result_class", "device", "exact, as there are no gpu bounds".to_owned()));
        }
        match &self.split {
            Some(split) => split.validate(self.limits.input_bytes),
            None => Ok(()),
        }
    }
}

impl Limits {
    fn validate(&self) -> Result<(), ManifestError> {
        range("limits.memory_bytes", self.memory_bytes, limits::PAGE_BYTES, limits::MEMORY_BYTES)?;
        if !self.memory_bytes.is_multiple_of(limits::PAGE_BYTES) {
            let want = format!("a multiple of {}", limits::PAGE_BYTES);
            return Err(field("limits.memory_bytes", &self.memory_bytes.to_string(), want));
        }
        range("limits.input_bytes", self.input_bytes, 0, limits::INPUT_BYTES)?;
        range("limits.output_bytes", self.output_bytes, 0, limits::OUTPUT_BYTES)?;
        range("limits.units", self.units, 1, limits::UNITS)
    }
}

impl Gpu {
    fn validate(&self) -> Result<(), ManifestError> {
        range("gpu.buffers", self.buffers, 1, limits::GPU_BUFFERS)?;
        range("gpu.buffer_bytes", self.buffer_bytes, 4, limits::GPU_BUFFER_BYTES)?;
        range("gpu.dispatches", self.dispatches, 1, limits::GPU_DISPATCHES)?;
        range("gpu.workgroups", self.workgroups, 1, limits::GPU_WORKGROUPS)
    }
}

impl Split {
    /// A part of one item must be an input the kernel accepts.
    fn validate(&self, input_bytes: u64) -> Result<(), ManifestError> {
        range("split.item_bytes", u64::from(self.item_bytes), 1, input_bytes)?;
        range("split.header_bytes", u64::from(self.header_bytes), 0, input_bytes - u64::from(self.item_bytes))
    }
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

fn field(field: &'static str, value: &str, want: String) -> ManifestError {
    ManifestError::Field { field, value: value.chars().take(160).collect(), want }
}

fn range<T: Into<u64>>(name: &'static str, value: T, min: T, max: T) -> Result<(), ManifestError> {
    let (value, min, max) = (value.into(), min.into(), max.into());
    if (min..=max).contains(&value) {
        return Ok(());
    }
    let want = if min == max { min.to_string() } else { format!("{min} to {max}") };
    Err(field(name, &value.to_string(), want))
}

/// A lower-case letter, then lower-case letters, digits and `more`.
fn word(name: &'static str, text: &str, max: usize, more: &[u8]) -> Result<(), ManifestError> {
    let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || more.contains(&b);
    if text.starts_with(|c: char| c.is_ascii_lowercase()) && text.len() <= max && text.bytes().all(rest) {
        return Ok(());
    }
    let more = more.iter().map(|&b| format!(" {}", char::from(b))).collect::<String>();
    Err(field(name, text, format!("a letter a-z, then a-z 0-9{more}, {max} bytes at most")))
}

/// Three numbers as semver.org writes them: no leading zeros, each below 2^32; no pre-release and no build metadata.
fn version(text: &str) -> Result<(), ManifestError> {
    let number = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        digits && (part == "0" || !part.starts_with('0')) && part.parse::<u32>().is_ok()
    };
    if text.split('.').count() == 3 && text.split('.').all(number) {
        return Ok(());
    }
    Err(field("version", text, "major.minor.patch without leading zeros".to_owned()))
}

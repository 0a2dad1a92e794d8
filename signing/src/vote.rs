//! What peers vote with. Layouts are fixed by hand: integers little-endian, fields in the order written here, each
//! hash in blake3's key-derivation mode under its own domain string, so that no byte string means two things.

use serde::{Deserialize, Serialize};

use crate::id::{AttemptNonce, BlobId, ClassId, Digest, InputDigest, ModuleId, Seal, TaskId, TraceRoot, Vote};
use crate::keys::PublicKey;

const INPUT_DOMAIN: &str = "P2C2R 2026-11-22 task input v1";
const VOTE_DOMAIN: &str = "P2C2R 2026-11-22 vote v1";
const SEAL_DOMAIN: &str = "P2C2R 2026-11-22 seal v1";

/// How an attempt ended, as far as it is a function of kernel and input. Only these vote; whatever depends on the
/// host (deadline, lost device, out of memory) is a host fault and no vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The entry returned 0; the output counts.
    Output,
    /// The entry returned this non-zero code; the output counts as its explanation.
    Failed(i32),
    /// WebAssembly or the host trapped.
    Trap(TrapCode),
    /// The manifest's fuel ran out (metered kernels only).
    OutOfFuel,
    /// The module passed verification but lacks the entry or imports something unknown.
    BadAbi,
}

/// Trap codes that mean the same on every engine and peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum TrapCode {
    /// `unreachable`, which is also how a panic ends.
    Unreachable = 1,
    /// A load, store or import pointer outside linear memory.
    MemoryOutOfBounds = 2,
    /// A table access outside the table.
    TableOutOfBounds = 3,
    /// An indirect call through a null entry.
    IndirectCallToNull = 4,
    /// An indirect call with the wrong signature.
    BadSignature = 5,
    /// Signed division overflow.
    IntegerOverflow = 6,
    /// Division by zero.
    IntegerDivisionByZero = 7,
    /// Float to integer conversion out of range.
    BadConversionToInteger = 8,
    /// Growing memory or a table past the manifest's limit.
    GrowLimit = 9,
    /// Output past the manifest's limit.
    OutputLimit = 10,
    /// `charge` negative, overflowing, or past the manifest's limit of units.
    UnitsLimit = 11,
    /// A shader used up its loop budget.
    ShaderFuel = 12,
    /// Calls nested deeper than the sandbox's logical stack.
    StackLimit = 13,
}

impl Outcome {
    /// Five bytes: tag, then a little-endian detail (failure code, trap code or 0).
    #[must_use]
    pub fn to_bytes(self) -> [u8; 5] {
        let (tag, detail) = match self {
            Self::Output => (0u8, 0i32),
            Self::Failed(code) => (1, code),
            Self::Trap(code) => (2, i32::from(code as u8)),
            Self::OutOfFuel => (3, 0),
            Self::BadAbi => (4, 0),
        };
        let d = detail.to_le_bytes();
        [tag, d[0], d[1], d[2], d[3]]
    }
}

/// Digest of everything an attempt may depend on besides the kernel.
#[must_use]
pub fn input_digest(input: &[u8], blobs: &[BlobId], seed: u64) -> InputDigest {
    let mut h = blake3::Hasher::new_derive_key(INPUT_DOMAIN);
    h.update(&seed.to_le_bytes());
    h.update(&(blobs.len() as u64).to_le_bytes());
    for blob in blobs {
        h.update(blob.as_bytes());
    }
    h.update(&(input.len() as u64).to_le_bytes());
    h.update(input);
    InputDigest::from_bytes(*h.finalize().as_bytes())
}

/// Everything a vote covers.
#[derive(Debug, Clone, Copy)]
pub struct Ballot {
    /// The task.
    pub task: TaskId,
    /// The kernel.
    pub module: ModuleId,
    /// The class it ran in.
    pub class: ClassId,
    /// Its input.
    pub input: InputDigest,
    /// How it ended.
    pub outcome: Outcome,
    /// blake3 of the output bytes.
    pub output: Digest,
    /// Units charged.
    pub units: u64,
    /// Final memory and buffers.
    pub trace_root: TraceRoot,
}

impl Ballot {
    /// The vote: equal for two attempts exactly if all fields are equal.
    #[must_use]
    pub fn vote(&self) -> Vote {
        let mut h = blake3::Hasher::new_derive_key(VOTE_DOMAIN);
        h.update(self.task.as_bytes());
        h.update(self.module.as_bytes());
        h.update(self.class.as_bytes());
        h.update(self.input.as_bytes());
        h.update(&self.outcome.to_bytes());
        h.update(self.output.as_bytes());
        h.update(&self.units.to_le_bytes());
        h.update(self.trace_root.as_bytes());
        Vote::from_bytes(*h.finalize().as_bytes())
    }
}

impl Vote {
    /// Binds the vote to the peer and the attempt it was cast in.
    #[must_use]
    pub fn seal(&self, peer: &PublicKey, nonce: &AttemptNonce) -> Seal {
        let mut h = blake3::Hasher::new_derive_key(SEAL_DOMAIN);
        h.update(peer.as_bytes());
        h.update(nonce.as_bytes());
        h.update(self.as_bytes());
        Seal::from_bytes(*h.finalize().as_bytes())
    }
}

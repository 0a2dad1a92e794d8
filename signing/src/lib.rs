//! The leaf everything else stands on: identities, keys, signed kernels, and every byte string that is hashed, signed or
//! MACed anywhere in P2C2R. It knows nothing of networks, sandboxes, money or clocks, and does no input or output but
//! key files.
//!
//! A kernel is one WebAssembly file. An author attaches a manifest and signs; everybody else turns the bytes into a
//! [`VerifiedModule`], for which there is exactly one way:
//!
//! ```
//! use p2c2r_signing::{Manifest, SecretKey, TrustedKeys, attach, sign_module, verify_module};
//!
//! let key = SecretKey::generate();
//! let manifest = Manifest::from_json(
//!     br#"{"name": "echo", "version": "1.0.0", "abi": 1, "publisher": "Example", "unit": "byte"}"#,
//! )?;
//! let empty_module = b"\0asm\x01\0\0\0";
//! let signed = sign_module(&attach(empty_module, &manifest, &[])?, &key)?;
//!
//! let kernel = verify_module(signed.clone(), &TrustedKeys::from(key.public()))?;
//! assert_eq!(kernel.manifest().name, "echo");
//! assert_eq!(kernel.signer(), key.public());
//!
//! let stranger = SecretKey::generate().public();
//! assert!(verify_module(signed, &TrustedKeys::from(stranger)).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The file format is described for other implementations in `docs/KERNEL_FORMAT.md`.
#![forbid(unsafe_code)]

pub mod auth;
pub mod author;
pub mod id;
pub mod keys;
pub mod limits;
pub mod manifest;
pub mod merkle;
pub mod module;
pub mod revocation;
pub mod section;
pub mod signature;
pub mod ticket;
pub mod trust;
pub mod vote;

pub use auth::Challenge;
pub use author::{AttachError, SignError, attach, sign_module};
pub use id::{
    AccountId, AttemptNonce, BlobId, ClassId, Digest, InputDigest, ModuleId, ParseIdError, Seal, SessionId, TaskId,
    TraceRoot, Vote,
};
pub use keys::{KeyError, PublicKey, SIGNATURE_BYTES, SecretKey, SignatureError};
pub use manifest::{Gpu, Limits, Manifest, ManifestError, Profile, ResultClass, Split, VoteKind};
pub use module::{UnverifiedModule, VerifiedModule, VerifyError, verify_module};
pub use revocation::{RevocationDraft, RevocationError, Revocations};
pub use section::{FormatError, ShaderError};
pub use signature::{KeyId, SignatureClaim};
pub use ticket::{TICKET_BYTES, Ticket, TicketError, TicketKey};
pub use trust::{TooManyKeys, TrustedKeys};
pub use vote::{Ballot, Outcome, TrapCode, input_digest};

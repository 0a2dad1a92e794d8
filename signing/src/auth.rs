//! What a connecting side signs to prove its key.

use crate::id::Digest;

const DOMAIN: &[u8; 29] = b"P2C2R 2026-11-22 challenge v1";

/// What the connection is for, as the signature sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Role {
    /// Submits tasks and pays.
    Client = 1,
    /// Runs tasks and earns.
    Peer = 2,
}

/// A coordinator's challenge. The signature is worth nothing on another connection (nonce), at another server
/// (certificate) or in another role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge {
    /// The role asked for.
    pub role: Role,
    /// Chosen by the server, single use.
    pub nonce: Digest,
    /// blake3 of the DER of the TLS leaf certificate the connecting side saw.
    pub server: [u8; 32],
}

impl Challenge {
    /// The bytes to sign: domain, role (one byte), nonce, server; 94 in all.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        let mut message = Vec::with_capacity(DOMAIN.len() + 65);
        message.extend_from_slice(DOMAIN);
        message.push(self.role as u8);
        message.extend_from_slice(self.nonce.as_bytes());
        message.extend_from_slice(&self.server);
        message
    }
}

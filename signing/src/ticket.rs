//! The coordinator's own note about an attempt, kept by the peer: with it a restarted coordinator settles work it no
//! longer remembers. Opaque to the peer and worth nothing to anybody else; a MAC, not a signature, because the writer
//! is the only reader.
//!
//! Layout, little-endian, [`TICKET_BYTES`] in all: version 3 (1 byte), session (16), task (16), peer (32), nonce (16),
//! module (32), class (32), input digest (32), plan (1), number (8), rate (8), max units (8), issued ms (8), MAC (32).
//!
//! The plan byte is `replicas + 16 * checks`. Session, plan and number are XORed with the first 25 bytes of
//! `blake3::keyed_hash(key, "hide" || nonce)`: for whom a task is run and how often is nothing a peer may read, or it would know
//! when to lie. Every attempt has its own nonce, so these bytes are as good as random to everybody else.

use zeroize::Zeroize;

use crate::id::{AttemptNonce, ClassId, InputDigest, ModuleId, SessionId, TaskId};
use crate::keys::PublicKey;

const KEY_DOMAIN: &str = "P2C2R 2026-11-22 ticket v1";
const VERSION: u8 = 3;
/// Bytes a peer may not read: session, plan, number.
const HIDDEN_BYTES: usize = 25;
const BODY_BYTES: usize = 210;
const MAC_BYTES: usize = 32;

/// Bytes of a sealed ticket.
pub const TICKET_BYTES: usize = BODY_BYTES + MAC_BYTES;

/// What a coordinator must know of an attempt to settle it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// The session that pays.
    pub session: SessionId,
    /// The task.
    pub task: TaskId,
    /// The peer it was given to.
    pub peer: PublicKey,
    /// The attempt.
    pub nonce: AttemptNonce,
    /// The kernel.
    pub module: ModuleId,
    /// The class it was to run in.
    pub class: ClassId,
    /// The whole input.
    pub input: InputDigest,
    /// Executions the client pays for, at most 15.
    pub replicas: u8,
    /// Executions the platform added to check, at most 15.
    pub checks: u8,
    /// The client's own number of the task.
    pub number: u64,
    /// Nano-USD per unit of one execution when the task was accepted.
    pub rate: u64,
    /// Units one execution may charge.
    pub max_units: u64,
    /// When it was issued, milliseconds since the Unix epoch.
    pub issued_ms: u64,
}

/// The coordinator's secret for tickets. Wiped when dropped; has no `Debug`.
#[derive(Clone)]
pub struct TicketKey([u8; 32]);

/// Bytes that are no ticket of this coordinator.
#[derive(Debug, thiserror::Error)]
pub enum TicketError {
    /// Wrong length.
    #[error("a ticket is {TICKET_BYTES} bytes, got {got}")]
    Length {
        /// Bytes given.
        got: usize,
    },
    /// Not sealed with this key, or changed since.
    #[error("the ticket was not issued by this coordinator or was changed")]
    Mac,
    /// Sealed by a later version of this program.
    #[error("ticket version {got}, this program reads {VERSION}")]
    Version {
        /// The version found.
        got: u8,
    },
}

impl TicketKey {
    /// The key of a 32-byte secret.
    #[must_use]
    pub fn from_bytes(secret: &[u8; 32]) -> Self {
        Self(blake3::derive_key(KEY_DOMAIN, secret))
    }

    fn mac(&self, body: &[u8]) -> blake3::Hash {
        blake3::keyed_hash(&self.0, body)
    }

    /// What hides part of one attempt's ticket. No body is this short, so this is never a MAC.
    fn pad(&self, nonce: &AttemptNonce) -> [u8; HIDDEN_BYTES] {
        let mut input = *b"hide................";
        input[4..].copy_from_slice(nonce.as_bytes());
        let mut pad = [0; HIDDEN_BYTES];
        pad.copy_from_slice(&self.mac(&input).as_bytes()[..HIDDEN_BYTES]);
        pad
    }
}

impl Drop for TicketKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Ticket {
    /// The bytes given to the peer, [`TICKET_BYTES`] long.
    #[must_use]
    pub fn seal(&self, key: &TicketKey) -> Vec<u8> {
        let mut out = Vec::with_capacity(TICKET_BYTES);
        let (session, plan, number) = self.hidden(key);
        out.push(VERSION);
        out.extend_from_slice(&session);
        out.extend_from_slice(self.task.as_bytes());
        out.extend_from_slice(self.peer.as_bytes());
        out.extend_from_slice(self.nonce.as_bytes());
        out.extend_from_slice(self.module.as_bytes());
        out.extend_from_slice(self.class.as_bytes());
        out.extend_from_slice(self.input.as_bytes());
        out.push(plan);
        out.extend_from_slice(&number);
        for number in [self.rate, self.max_units, self.issued_ms] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        debug_assert_eq!(out.len(), BODY_BYTES);
        let mac = key.mac(&out);
        out.extend_from_slice(mac.as_bytes());
        out
    }

    /// Reads a ticket a peer sent back.
    ///
    /// # Errors
    /// [`TicketError`]: the peer's fault, or another coordinator's ticket.
    pub fn open(bytes: &[u8], key: &TicketKey) -> Result<Self, TicketError> {
        let length = TicketError::Length { got: bytes.len() };
        let Ok(bytes) = <&[u8; TICKET_BYTES]>::try_from(bytes) else { return Err(length) };
        let (body, mac) = bytes.split_at(BODY_BYTES);
        let Ok(mac) = <[u8; MAC_BYTES]>::try_from(mac) else { return Err(length) };
        // `blake3::Hash` compares in constant time.
        if key.mac(body) != mac {
            return Err(TicketError::Mac);
        }
        let mut fields = Fields(body);
        let [version] = fields.take();
        if version != VERSION {
            return Err(TicketError::Version { got: version });
        }
        let mut ticket = Self {
            session: SessionId::from_bytes(fields.take()),
            task: TaskId::from_bytes(fields.take()),
            // Sealed from a key that was checked, and unchanged since: checking the point again would cost more than all
            // else that a coordinator does with a result (20 us).
            peer: PublicKey::from_checked(fields.take()),
            nonce: AttemptNonce::from_bytes(fields.take()),
            module: ModuleId::from_bytes(fields.take()),
            class: ClassId::from_bytes(fields.take()),
            input: InputDigest::from_bytes(fields.take()),
            replicas: u8::from_le_bytes(fields.take()),
            checks: 0,
            number: u64::from_le_bytes(fields.take()),
            rate: u64::from_le_bytes(fields.take()),
            max_units: u64::from_le_bytes(fields.take()),
            issued_ms: u64::from_le_bytes(fields.take()),
        };
        // What was read of these is hidden; hiding it again shows it.
        let (session, plan, number) = ticket.hidden(key);
        ticket.session = SessionId::from_bytes(session);
        (ticket.replicas, ticket.checks) = (plan & 15, plan >> 4);
        ticket.number = u64::from_le_bytes(number);
        Ok(ticket)
    }

    /// Session, plan and number under this attempt's pad.
    fn hidden(&self, key: &TicketKey) -> ([u8; 16], u8, [u8; 8]) {
        debug_assert!(self.checks == 0 || self.replicas < 16 && self.checks < 16, "a nibble each");
        let pad = key.pad(&self.nonce);
        let (mut session, mut number) = (*self.session.as_bytes(), self.number.to_le_bytes());
        session.iter_mut().zip(&pad[..16]).for_each(|(byte, pad)| *byte ^= pad);
        number.iter_mut().zip(&pad[17..]).for_each(|(byte, pad)| *byte ^= pad);
        (session, (self.replicas | self.checks << 4) ^ pad[16], number)
    }
}

/// Fixed-size fields of a body whose length was checked.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    /// The next `N` bytes. The body's length is the sum of its fields, so there are always enough; zeros otherwise.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk() {
            Some((field, rest)) => {
                self.0 = rest;
                *field
            }
            None => [0; N],
        }
    }
}

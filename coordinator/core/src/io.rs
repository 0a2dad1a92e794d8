//! The whole surface of the market: one [`Input`] at a time in, a queue of [`Output`]s out.

use std::net::IpAddr;

use bytes::Bytes;

use p2c2r_protocol::Credits;
use p2c2r_protocol::message::{ClientToServer, PeerToServer, Refusal, ServerToClient, ServerToPeer};
use p2c2r_signing::{AccountId, BlobId, Manifest, ModuleId, PublicKey};

use crate::record::Commit;

/// Milliseconds since the Unix epoch, as the shell's clock says. Never goes back between two inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// `ms` milliseconds later, or the end of time.
    #[must_use]
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from here to `later`; 0 if that has passed.
    #[must_use]
    pub const fn until(self, later: Self) -> u64 {
        later.0.saturating_sub(self.0)
    }
}

/// A connection, numbered by the shell, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// A batch handed to the store, numbered by the core, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId(pub u64);

/// The network a connection comes from, as far as an address shows it. Replicas of a task go to different ones where
/// there are any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(u64);

impl Network {
    /// The /24 of an IPv4 address (IPv4 in IPv6 too), the /48 of an IPv6 address: what one household or one rented
    /// machine is given, and the least a regional registry routes.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(v4.to_bits() as u64 >> 8),
            IpAddr::V6(v6) => Self(1 << 63 | (v6.to_bits() >> 80) as u64),
        }
    }
}

/// Something happened.
#[derive(Debug)]
pub enum Input {
    /// A client authenticated.
    ClientConnected {
        /// Its connection.
        conn: ConnId,
        /// Its account.
        account: AccountId,
    },
    /// A peer authenticated.
    PeerConnected {
        /// Its connection.
        conn: ConnId,
        /// Its account: the owner, who is paid.
        account: AccountId,
        /// Its key: what seals and reputation are bound to.
        key: PublicKey,
        /// Where it connects from.
        network: Network,
    },
    /// A connection ended.
    Disconnected {
        /// Which.
        conn: ConnId,
    },
    /// A client said something. `OpenSession`..`Cancel` only: blobs and fetches end in the shell.
    Client {
        /// Its connection.
        conn: ConnId,
        /// What.
        message: ClientToServer,
        /// The frame's payload.
        payload: Bytes,
    },
    /// A peer said something. Fetches end in the shell.
    Peer {
        /// Its connection.
        conn: ConnId,
        /// What.
        message: PeerToServer,
        /// The frame's payload.
        payload: Bytes,
    },
    /// A blob is on disk.
    BlobStored {
        /// Which.
        blob: BlobId,
    },
    /// The operator or its tools ask for something; the answer is [`Output::AdminDone`] with the same number.
    Admin {
        /// Chosen by the shell.
        request: u64,
        /// What.
        command: Admin,
    },
    /// A commit is durable.
    Committed {
        /// Which.
        commit: CommitId,
    },
    /// The store began to fail (it keeps retrying) or works again.
    StoreHealth {
        /// Whether it works.
        ok: bool,
    },
    /// No new sessions, tasks or attempts; settle what runs.
    Drain,
    /// Time passed.
    Tick,
}

/// What an operator can do.
#[derive(Debug, Clone)]
pub enum Admin {
    /// Opens an account (idempotent).
    OpenAccount {
        /// Which.
        account: AccountId,
    },
    /// Money comes in from outside. The same reference twice is one deposit; with another amount it is an error.
    Deposit {
        /// To whom.
        account: AccountId,
        /// How much.
        amount: Credits,
        /// The operator's own reference, at most 128 bytes.
        reference: String,
    },
    /// Registers a verified kernel and its price, or changes the price.
    RegisterKernel {
        /// Which.
        module: ModuleId,
        /// Its manifest, from the verified module.
        manifest: Box<Manifest>,
        /// Price of one unit of one execution.
        rate: Credits,
    },
    /// A kernel that is held to be at fault may be run again (idempotent); registering it again does the same.
    ClearKernel {
        /// Which.
        module: ModuleId,
    },
}

/// Something to do.
#[derive(Debug)]
pub enum Output {
    /// Send to a client.
    ToClient {
        /// Its connection.
        conn: ConnId,
        /// What.
        message: ServerToClient,
        /// The frame's payload.
        payload: Bytes,
    },
    /// Send to a peer.
    ToPeer {
        /// Its connection.
        conn: ConnId,
        /// What.
        message: ServerToPeer,
        /// The frame's payload.
        payload: Bytes,
    },
    /// Close a connection that broke the protocol.
    Close {
        /// Which.
        conn: ConnId,
        /// Why, for the other side.
        code: Refusal,
        /// For people.
        message: String,
    },
    /// Make durable; answer with [`Input::Committed`]. Commits are stored in order.
    Commit(Commit),
    /// Answer to [`Input::Admin`]; an accepted command is durable by then.
    AdminDone {
        /// As asked.
        request: u64,
        /// `Err` says what, which value, which bound.
        result: Result<(), String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_a_prefix() {
        let of = |text: &str| Network::of(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("192.0.2.254"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.9"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_eq!(of("2001:db8:1::1"), of("2001:db8:1:ffff::2"));
        assert_ne!(of("2001:db8:1::1"), of("2001:db8:2::1"));
        assert_ne!(of("::"), of("0.0.0.0"));
    }
}

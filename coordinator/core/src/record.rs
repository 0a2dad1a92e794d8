//! What the market makes durable. A commit is applied whole or not at all; replaying all commits gives the same state.

use p2c2r_protocol::Credits;
use p2c2r_protocol::message::Standing;
use p2c2r_signing::{AccountId, AttemptNonce, Digest, Manifest, ModuleId, PublicKey, Seal, SessionId, TaskId};

use crate::io::{CommitId, Millis};
use crate::trust::Known;

/// Batches in [`Snapshot::recent`]: as many as a peer may leave unacknowledged. A peer that comes back later than that
/// after a restart is told that its attempt is void even if it was paid; its account's figures are right.
pub const RECENT_SETTLEMENTS: usize = 64;

/// A batch of records stored in one transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// Its number, consecutive over the life of the store.
    pub id: CommitId,
    /// In order.
    pub records: Vec<Record>,
}

/// One durable fact.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// An account exists.
    Account {
        /// Which.
        account: AccountId,
    },
    /// A kernel is registered, or its price changed.
    Kernel(KernelRecord),
    /// Money moved: one line of the hash-chained journal.
    Transfer(Transfer),
    /// The operator's reference of a deposit; its transfer is in the same commit.
    Deposit(DepositRecord),
    /// A session holds money, or its hold changed.
    Hold(HoldRecord),
    /// A settlement batch.
    Settlement(SettlementRecord),
    /// Standing of a peer.
    Peer(PeerRecord),
    /// A kernel is held to be at fault, or no longer.
    Suspicion(SuspicionRecord),
    /// How far a peer is trusted with a kernel. Its [`PeerRecord`] comes before it.
    Trust(TrustRecord),
}

/// A registered kernel.
#[derive(Debug, Clone, PartialEq)]
pub struct KernelRecord {
    /// Which.
    pub module: ModuleId,
    /// Its manifest.
    pub manifest: Manifest,
    /// Price of one unit of one execution.
    pub rate: Credits,
}

/// A deposit under the operator's own reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepositRecord {
    /// The operator's reference, unique; at most 128 bytes.
    pub reference: String,
    /// To whom.
    pub account: AccountId,
    /// How much.
    pub amount: Credits,
}

/// An account of the double-entry ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LedgerAccount {
    /// The world outside: deposits come from it, payouts go to it. Its balance is negative or zero.
    External,
    /// The platform's fees.
    Platform,
    /// What an account may spend or be paid.
    Available(AccountId),
    /// What a session has on hold.
    Held(SessionId),
    /// What an owner's peers earned last, held back until it is old enough to be theirs.
    Withheld(AccountId),
}

/// Why money moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransferKind {
    /// From outside.
    Deposit,
    /// Available to held.
    Hold,
    /// Held, or the platform's own for work it ordered, to what is withheld of a peer's owner.
    PostPeer,
    /// Held to the platform.
    PostPlatform,
    /// Held back to available: session closed.
    Void,
    /// Held back to available: nobody came back for the session.
    Expire,
    /// Withheld to available: the pay is old enough.
    Release,
    /// Withheld to the platform: a peer of the owner lied.
    Forfeit,
    /// Withheld, or the platform's part, back to the client: an answer was withdrawn.
    Refund,
    /// Platform to withheld: what was forfeited for a vote on a kernel that turned out to be at fault.
    Restore,
}

/// One immutable line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Derived from what it is for, so a replay is the same transfer and moves nothing twice.
    pub id: [u8; 16],
    /// Why.
    pub kind: TransferKind,
    /// From.
    pub debit: LedgerAccount,
    /// To.
    pub credit: LedgerAccount,
    /// How much, never zero.
    pub amount: Credits,
    /// When.
    pub at: Millis,
    /// blake3 chain: of the previous line's `chain` and this line's fields.
    pub chain: Digest,
}

/// A session's hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldRecord {
    /// Which session.
    pub session: SessionId,
    /// Whose.
    pub account: AccountId,
    /// The client's own number of it, so that a client that comes back finds it.
    pub number: u64,
    /// Reserved at the start.
    pub budget: Credits,
    /// When it is voided if nobody comes back for it.
    pub expires: Millis,
    /// False once posted, voided or expired for good.
    pub open: bool,
}

/// A settlement batch: what was verified in about a second, as one line for auditors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettlementRecord {
    /// Number.
    pub batch: u64,
    /// Merkle root over its leaves.
    pub root: Digest,
    /// Confirmed tasks.
    pub tasks: u64,
    /// Right executions.
    pub executions: u64,
    /// What the tasks cost: clients, and the platform for what it had run again.
    pub charged: Credits,
    /// What peers got.
    pub paid: Credits,
    /// What the platform got.
    pub fee: Credits,
    /// When.
    pub at: Millis,
    /// The leaves, for receipts and audits: one line per execution.
    pub executions_detail: Vec<SettledExecution>,
}

/// One execution in a settlement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettledExecution {
    /// The task.
    pub task: TaskId,
    /// The attempt.
    pub nonce: AttemptNonce,
    /// The kernel.
    pub module: ModuleId,
    /// The peer.
    pub peer: PublicKey,
    /// The session that pays.
    pub session: SessionId,
    /// The client's own number of the task in it.
    pub number: u64,
    /// Units of one execution.
    pub units: u64,
    /// What the task cost its client (the same on every line of the task).
    pub task_cost: Credits,
    /// How it stands.
    pub standing: Standing,
    /// What it earned.
    pub earned: Credits,
    /// The sealed vote.
    pub seal: Seal,
}

/// A peer's standing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRecord {
    /// Its key.
    pub key: PublicKey,
    /// Its owner.
    pub account: AccountId,
    /// Votes that agreed with the verdict.
    pub agreed: u64,
    /// Votes that did not.
    pub outvoted: u64,
    /// Attempts that ended without an outcome.
    pub faults: u64,
    /// Earned by this key.
    pub earned: Credits,
}

/// A kernel that seems to give different results for the same input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SuspicionRecord {
    /// Which.
    pub module: ModuleId,
    /// Since when.
    pub since: Millis,
    /// What speaks against it.
    pub cause: Cause,
    /// False once the operator cleared it.
    pub open: bool,
}

/// What speaks against a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The operator's referee gave two answers to one input.
    Referee,
    /// Established owners dissented, of those compared in a day.
    Owners {
        /// How many dissented.
        dissenting: u32,
        /// Of how many.
        of: u32,
    },
}

/// How far a peer is trusted with a kernel. A lie is in the same commit as the settlement that says so: no crash comes between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustRecord {
    /// Which peer.
    pub peer: PublicKey,
    /// With which kernel.
    pub module: ModuleId,
    /// What is known; `None` once that is forgotten, and the peer a newcomer to the kernel.
    pub known: Option<Known>,
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Referee => f.write_str("the referee gave two answers to one input"),
            Self::Owners { dissenting, of } => {
                write!(f, "{dissenting} of {of} established owners disagreed with others on it within a day")
            }
        }
    }
}

/// All that a restarted market needs. Built by the store, consumed by `Market::restore`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// The last commit applied; `None` in a new store.
    pub last_commit: Option<CommitId>,
    /// The last settlement batch.
    pub last_batch: u64,
    /// Head of the journal's chain.
    pub chain: Option<Digest>,
    /// Accounts.
    pub accounts: Vec<AccountId>,
    /// Kernels.
    pub kernels: Vec<KernelRecord>,
    /// Balances, in nano-USD; only `External` may be negative.
    pub balances: Vec<(LedgerAccount, i128)>,
    /// Open holds.
    pub holds: Vec<HoldRecord>,
    /// Numbers of the tasks already settled under open holds, so that a resent result is not paid twice.
    pub settled: Vec<(SessionId, u64)>,
    /// Deposits, by their references.
    pub deposits: Vec<DepositRecord>,
    /// Lines of the journal.
    pub journal_lines: u64,
    /// The last [`RECENT_SETTLEMENTS`] batches, oldest first, to tell peers again what they may not have heard.
    pub recent: Vec<SettlementRecord>,
    /// Peers' standings.
    pub peers: Vec<PeerRecord>,
    /// Kernels held to be at fault.
    pub suspicions: Vec<SuspicionRecord>,
    /// How far peers are trusted, as far as that is known.
    pub trust: Vec<TrustRecord>,
}

/// Domain of the journal's chain.
const CHAIN_DOMAIN: &str = "P2C2R 2026-11-22 journal v1";

impl LedgerAccount {
    /// Fixed layout for hashing: a tag, then the identity or zeros.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 17] {
        let (tag, id) = match self {
            Self::External => (0, [0; 16]),
            Self::Platform => (1, [0; 16]),
            Self::Available(account) => (2, *account.as_bytes()),
            Self::Held(session) => (3, *session.as_bytes()),
            Self::Withheld(account) => (4, *account.as_bytes()),
        };
        let mut out = [tag; 17];
        out[1..].copy_from_slice(&id);
        out
    }
}

impl TransferKind {
    /// Fixed number for hashing and storing.
    #[must_use]
    pub const fn tag(self) -> u8 {
        match self {
            Self::Deposit => 0,
            Self::Hold => 1,
            Self::PostPeer => 2,
            Self::PostPlatform => 3,
            Self::Void => 4,
            Self::Expire => 5,
            Self::Release => 6,
            Self::Forfeit => 7,
            Self::Refund => 8,
            Self::Restore => 9,
        }
    }
}

impl Transfer {
    /// Whether this line is unchanged and comes right after the line whose chain is `previous` (zeros for the first).
    #[must_use]
    pub fn follows(&self, previous: Digest) -> bool {
        Self { chain: previous, ..self.clone() }.chained().chain == self.chain
    }

    /// The line with its own chain, from one that carries its predecessor's.
    pub(crate) fn chained(self) -> Self {
        let mut h = blake3::Hasher::new_derive_key(CHAIN_DOMAIN);
        h.update(self.chain.as_bytes());
        h.update(&self.id);
        h.update(&[self.kind.tag()]);
        h.update(&self.debit.to_bytes());
        h.update(&self.credit.to_bytes());
        h.update(&self.amount.nano_usd().to_le_bytes());
        h.update(&self.at.0.to_le_bytes());
        Self { chain: Digest::from_bytes(*h.finalize().as_bytes()), ..self }
    }
}

impl SettledExecution {
    /// Bytes of [`Self::leaf`].
    pub const LEAF_BYTES: usize = 177;

    /// The leaf of the settlement's Merkle tree, little-endian: task (16), nonce (16), module (32), peer (32),
    /// session (16), number (8), units (8), task cost (8), standing (1: agreed 0, outvoted 1, void 2), earned (8), seal (32).
    #[must_use]
    pub fn leaf(&self) -> [u8; Self::LEAF_BYTES] {
        let standing = match self.standing {
            Standing::Agreed => 0u8,
            Standing::Outvoted => 1,
            Standing::Void => 2,
        };
        let mut out = [0; Self::LEAF_BYTES];
        let mut at = 0;
        for part in [
            &self.task.as_bytes()[..],
            self.nonce.as_bytes(),
            self.module.as_bytes(),
            self.peer.as_bytes(),
            self.session.as_bytes(),
            &self.number.to_le_bytes(),
            &self.units.to_le_bytes(),
            &self.task_cost.nano_usd().to_le_bytes(),
            &[standing],
            &self.earned.nano_usd().to_le_bytes(),
            self.seal.as_bytes(),
        ] {
            out[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        out
    }
}

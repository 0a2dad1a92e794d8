//! The messages, one enum per direction. Each travels as a MessagePack map with named fields; bulk bytes travel behind
//! it as the frame's raw payload, so forwarding copies nothing. Unknown fields are tolerated, unknown messages refused.

use serde::{Deserialize, Serialize};

use p2c2r_signing::{
    AccountId, AttemptNonce, BlobId, ClassId, Digest, ModuleId, Outcome, PublicKey, Seal, SessionId, TaskId, TraceRoot,
};

use crate::money::Credits;

/// Version of the wire spoken here. The enum of handshake messages never changes shape.
/// 2: verdicts say what they rest on; [`ServerToClient::TaskWithdrawn`]. 3: [`ClientToServer::QueryVerdict`].
pub const WIRE_VERSION: u16 = 3;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Submits tasks and pays.
    Client,
    /// Runs tasks and earns.
    Peer,
}

/// First and third message, from the connecting side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Knock {
    /// Says who is there and which wire versions it speaks.
    Hello {
        /// Versions, best first.
        versions: Vec<u16>,
        /// What the connection is for.
        role: Role,
        /// The key that will sign the challenge.
        key: PublicKey,
        /// Program and version, for logs.
        agent: String,
    },
    /// Signature of [`p2c2r_signing::auth::Challenge::message`].
    Proof {
        /// 64 bytes, ed25519.
        #[serde(with = "serde_bytes")]
        signature: Vec<u8>,
    },
}

/// Second and fourth message, from the coordinator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// What to sign.
    Challenge {
        /// The version spoken from here on.
        version: u16,
        /// Single use, bound to this connection.
        nonce: Digest,
    },
    /// Come in.
    Welcome {
        /// The account the key belongs to.
        account: AccountId,
        /// The coordinator's settlement key, for receipts.
        operator: PublicKey,
        /// Milliseconds after which a silent connection is closed.
        idle_ms: u32,
    },
    /// Stay out; the connection closes.
    Refused {
        /// Machine-readable reason.
        code: Refusal,
        /// For people: the wrong value and the bound it broke.
        message: String,
    },
}

/// Machine-readable reasons. New ones are added at the end; an unknown one reads as [`Refusal::Other`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// No common wire version.
    Version,
    /// The signature or key is not good.
    Authentication,
    /// The account is suspended or may not act in this role.
    Forbidden,
    /// A message that does not decode or does not belong here.
    Protocol,
    /// Over a size or count limit.
    Limit,
    /// No such kernel.
    UnknownKernel,
    /// No such blob.
    UnknownBlob,
    /// No session is open.
    NoSession,
    /// The session's budget or the account's balance does not cover it.
    Funds,
    /// Fewer peers of one class and different owners than replicas asked for.
    NoPeers,
    /// The deadline cannot be met or passed.
    Deadline,
    /// The coordinator is full, draining or cannot reach its store.
    Unavailable,
    /// The kernel is held to give different results for the same input; the operator was told.
    FaultyKernel,
    /// Anything newer than this program.
    #[serde(other)]
    Other,
}

/// How the client wants an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// First answer at once, verdict later.
    Provisional,
    /// One answer, after the quorum.
    Confirmed,
}

/// From a client, after the handshake.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientToServer {
    /// Puts part of the account's balance on hold for this connection's tasks.
    OpenSession {
        /// The client's own number; with the account it names the session, so a resend opens nothing twice.
        number: u64,
        /// The most this session may cost.
        budget: Credits,
    },
    /// Ends the session: running tasks finish, the rest of the hold is voided.
    CloseSession,
    /// Asks for price and shape of a kernel.
    QueryKernel {
        /// Which.
        module: ModuleId,
    },
    /// One task; the payload is its input.
    Submit {
        /// The client's own number, never reused in a session.
        number: u64,
        /// The kernel.
        module: ModuleId,
        /// Blobs, in the order the kernel sees them.
        blobs: Vec<BlobId>,
        /// Seed of the kernel's randomness.
        seed: u64,
        /// Milliseconds from now in which an answer is of use.
        deadline_ms: u32,
        /// Higher goes first among this client's tasks.
        priority: u8,
        /// Provisional or confirmed.
        mode: Mode,
        /// Executions asked and paid for, 1 to [`crate::limits::REPLICAS`].
        replicas: u8,
        /// Units one execution may charge; the hold is `rate * max_units * replicas`.
        max_units: u64,
    },
    /// Gives up on a task. Work already done may still be charged.
    Cancel {
        /// The task's number.
        number: u64,
    },
    /// Asks for the verdict on a task that was answered, should it have been lost with a connection: it comes again if it is
    /// still known, and is yet to come if the task still runs.
    QueryVerdict {
        /// The task's number.
        number: u64,
    },
    /// One chunk of a blob, in order from offset 0; the payload is the bytes.
    PutBlob {
        /// blake3 of the whole.
        blob: BlobId,
        /// Bytes of the whole.
        total_bytes: u64,
        /// Where this chunk goes.
        offset: u64,
    },
    /// Asks for a chunk of a kernel or blob.
    Fetch(Fetch),
}

/// Asks for up to [`crate::limits::CHUNK_BYTES`] from `offset`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fetch {
    /// What.
    pub item: Item,
    /// From which byte.
    pub offset: u64,
}

/// Something content-addressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Item {
    /// A signed module.
    Kernel(ModuleId),
    /// A blob.
    Blob(BlobId),
}

/// Answer to [`Fetch`]; the payload is the bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chunk {
    /// What.
    pub item: Item,
    /// From which byte.
    pub offset: u64,
    /// Bytes of the whole; 0 with an empty payload when the coordinator does not have it.
    pub total_bytes: u64,
}

/// To a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerToClient {
    /// The hold is durable; tasks may come.
    SessionOpened {
        /// Its identity.
        session: SessionId,
        /// What is on hold.
        budget: Credits,
    },
    /// The session is over.
    SessionClosed {
        /// What it cost.
        spent: Credits,
    },
    /// Answer to `OpenSession` that failed.
    SessionRefused {
        /// Why.
        code: Refusal,
        /// For people.
        message: String,
    },
    /// Answer to `QueryKernel`.
    Kernel(KernelInfo),
    /// The kernel asked for is not registered.
    KernelUnknown {
        /// Which.
        module: ModuleId,
    },
    /// The task will not run; nothing is charged.
    TaskRefused {
        /// Its number.
        number: u64,
        /// Why.
        code: Refusal,
        /// For people.
        message: String,
    },
    /// An answer; the payload is the output.
    TaskResult {
        /// Its number.
        number: u64,
        /// The network's identity for it.
        task: TaskId,
        /// How the kernel ended.
        outcome: Outcome,
        /// Units of one execution.
        units: u64,
        /// True if the quorum already agreed.
        confirmed: bool,
    },
    /// What became of the task.
    TaskVerdict {
        /// Its number.
        number: u64,
        /// The verdict; with `Revoked` the payload is the right output.
        verdict: Verdict,
    },
    /// A confirmed answer that rested on one execution is not: its peer was caught lying since. At most once a task, after
    /// its verdict; with `right` the payload is the right output.
    TaskWithdrawn {
        /// Its number.
        number: u64,
        /// What went back to the account: all it cost, unless there is a right answer instead.
        refund: Credits,
        /// The right answer, where others could still be asked.
        right: Option<RightAnswer>,
    },
    /// A blob is stored (or was already).
    BlobStored {
        /// Which.
        blob: BlobId,
    },
    /// A blob was refused.
    BlobRefused {
        /// Which.
        blob: BlobId,
        /// Why.
        code: Refusal,
        /// For people.
        message: String,
    },
    /// A chunk.
    Chunk(Chunk),
    /// The coordinator drains: no new tasks, reconnect later.
    Draining,
}

/// What a client needs to know of a kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KernelInfo {
    /// Which.
    pub module: ModuleId,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Name of its unit.
    pub unit: String,
    /// Price of one unit of one execution.
    pub rate: Credits,
    /// Units one execution may charge by its manifest.
    pub max_units: u64,
}

/// End of a task.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The answer delivered is right, as far as the basis goes.
    Confirmed {
        /// What the task costs.
        cost: Credits,
        /// What this rests on.
        basis: Basis,
    },
    /// The answer delivered was wrong; the payload is the right one.
    Revoked {
        /// What the task costs.
        cost: Credits,
        /// The right outcome.
        outcome: Outcome,
        /// The right units.
        units: u64,
        /// What this rests on.
        basis: Basis,
    },
    /// No quorum was reached; nothing is charged and the answer delivered, if any, is worth nothing.
    Unverified {
        /// Why.
        code: Refusal,
    },
}

/// What a verdict rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Equal votes of several owners.
    Quorum,
    /// The vote of the operator's referee, after others differed.
    Referee,
    /// One execution by a peer whose window of held pay is clean so far. The answer is withdrawn if the peer's owner is found
    /// lying while the pay is held.
    HeldWindow,
}

/// A right answer that comes after its verdict, without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RightAnswer {
    /// How the kernel really ended.
    pub outcome: Outcome,
    /// The right units.
    pub units: u64,
}

/// From a peer, after the handshake.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerToServer {
    /// Ready for work; may be sent again when something changes. 0 slots is a pause.
    Offer {
        /// Attempts it will hold at once.
        slots: u16,
        /// Classes it can run in.
        classes: Vec<OfferedClass>,
        /// Kernel-neutral speed from its self-benchmark, operations per microsecond.
        speed: u32,
    },
    /// An attempt ended in an outcome; the payload is the output. Also sent again after a reconnect until settled.
    Result {
        /// As given in `Assign`.
        #[serde(with = "serde_bytes")]
        ticket: Vec<u8>,
        /// How the kernel ended.
        outcome: Outcome,
        /// Units charged.
        units: u64,
        /// Final memory and buffers.
        trace_root: TraceRoot,
        /// The vote, sealed for this peer and attempt.
        seal: Seal,
    },
    /// An attempt ended without one, through no fault of the kernel.
    Fault {
        /// As given in `Assign`.
        #[serde(with = "serde_bytes")]
        ticket: Vec<u8>,
        /// Kind of fault.
        fault: Fault,
    },
    /// The settlement is stored; the coordinator need not repeat it.
    SettledAck {
        /// The batch.
        batch: u64,
    },
    /// Asks for a chunk of a kernel or blob.
    Fetch(Fetch),
    /// Asks for its account's figures.
    QueryEarnings,
}

/// A class a peer can run in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedClass {
    /// Its identity.
    pub class: ClassId,
    /// Which path it is.
    pub path: Path,
}

/// Where a kernel's heavy part runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    /// In the Wasm itself.
    Cpu,
    /// In the module's shaders, compared inside one numeric class.
    Gpu,
    /// In the module's shaders, all of them exact: one class for adapters and CPUs.
    Exact,
}

/// Why an attempt gave no outcome. Never a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Not done by the deadline.
    Deadline,
    /// The host ran out of memory or of native stack.
    Resources,
    /// GPU lost, hung or refused.
    Gpu,
    /// The kernel or a blob could not be had or did not verify.
    Fetch,
    /// The owner came back.
    Preempted,
    /// A bug in the peer.
    Internal,
    /// Anything newer than this program.
    #[serde(other)]
    Other,
}

/// To a peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerToPeer {
    /// Run this; the payload is the input.
    Assign {
        /// Opaque to the peer, MACed by the coordinator, returned with the result.
        #[serde(with = "serde_bytes")]
        ticket: Vec<u8>,
        /// The task, part of the vote.
        task: TaskId,
        /// Nonce of the seal.
        nonce: AttemptNonce,
        /// The kernel.
        module: ModuleId,
        /// The class to run in, one of those offered.
        class: ClassId,
        /// Blobs, in the order the kernel sees them.
        blobs: Vec<BlobId>,
        /// Seed of the kernel's randomness.
        seed: u64,
        /// Units it may charge.
        max_units: u64,
        /// Milliseconds from receipt after which nobody waits for it.
        deadline_ms: u32,
    },
    /// Nobody waits for this any more.
    Cancel {
        /// The attempt's nonce.
        nonce: AttemptNonce,
    },
    /// Attempts that are settled and durable; the peer may forget their tickets.
    Settled {
        /// Batch number.
        batch: u64,
        /// Merkle root over the batch's tasks.
        root: Digest,
        /// This peer's attempts in it.
        entries: Vec<SettledAttempt>,
    },
    /// Answer to `QueryEarnings`.
    Earnings {
        /// Balance of the account.
        balance: Credits,
        /// Earned since the account exists.
        earned: Credits,
        /// Votes that agreed with the verdict.
        agreed: u64,
        /// Votes that did not.
        outvoted: u64,
    },
    /// A chunk.
    Chunk(Chunk),
    /// The coordinator drains: no new attempts, reconnect later.
    Draining,
}

/// One attempt of a settlement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SettledAttempt {
    /// The attempt.
    pub nonce: AttemptNonce,
    /// How it stands.
    pub standing: Standing,
    /// What it earned.
    pub earned: Credits,
}

/// How an attempt stands after the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Right.
    Agreed,
    /// Wrong; earns nothing.
    Outvoted,
    /// No verdict could be reached, or it came after the hold expired; earns nothing, harms nothing.
    Void,
}

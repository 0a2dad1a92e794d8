//! Any message, as a proptest strategy, one per direction.

use p2c2r_protocol::Credits;
use p2c2r_protocol::limits;
use p2c2r_protocol::message::{
    Basis, Chunk, ClientToServer, Door, Fault, Fetch, Item, KernelInfo, Knock, Mode, OfferedClass, Path, PeerToServer,
    Refusal, RightAnswer, Role, ServerToClient, ServerToPeer, SettledAttempt, Standing, Verdict,
};
use p2c2r_signing::{
    AccountId, AttemptNonce, BlobId, ClassId, Digest, ModuleId, Outcome, PublicKey, Seal, SessionId, TaskId, TraceRoot,
    TrapCode,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// RFC 8032, section 7.1, tests 1 to 3.
const KEYS: [&str; 3] = [
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
];

pub(crate) fn key(index: usize) -> PublicKey {
    KEYS[index].parse().expect("a key of RFC 8032")
}

fn any_key() -> impl Strategy<Value = PublicKey> {
    (0..KEYS.len()).prop_map(key)
}

macro_rules! ids {
    ($($function:ident: $id:ident),*) => {
        $(fn $function() -> impl Strategy<Value = $id> {
            any::<[u8; $id::BYTES]>().prop_map($id::from_bytes)
        })*
    };
}

ids!(
    account: AccountId, nonce: AttemptNonce, blob: BlobId, class: ClassId, digest: Digest, module: ModuleId,
    seal: Seal, session: SessionId, task: TaskId, trace_root: TraceRoot
);

fn credits() -> impl Strategy<Value = Credits> {
    any::<u64>().prop_map(Credits::from_nano_usd)
}

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,200}"
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..limits::BINARY_BYTES)
}

fn refusal() -> impl Strategy<Value = Refusal> {
    use Refusal::{
        Authentication, Deadline, FaultyKernel, Forbidden, Funds, Limit, NoPeers, NoSession, Other, Protocol,
        Unavailable, UnknownBlob, UnknownKernel, Version,
    };
    select(vec![
        Version,
        Authentication,
        Forbidden,
        Protocol,
        Limit,
        UnknownKernel,
        UnknownBlob,
        NoSession,
        Funds,
        NoPeers,
        Deadline,
        Unavailable,
        FaultyKernel,
        Other,
    ])
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Output),
        any::<i32>().prop_map(Outcome::Failed),
        select(vec![TrapCode::Unreachable, TrapCode::OutputLimit, TrapCode::StackLimit]).prop_map(Outcome::Trap),
        Just(Outcome::OutOfFuel),
        Just(Outcome::BadAbi),
    ]
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![module().prop_map(Item::Kernel), blob().prop_map(Item::Blob)]
}

fn fetch() -> impl Strategy<Value = Fetch> {
    (item(), any::<u64>()).prop_map(|(item, offset)| Fetch { item, offset })
}

fn chunk() -> impl Strategy<Value = Chunk> {
    (item(), any::<u64>(), any::<u64>()).prop_map(|(item, offset, total_bytes)| Chunk { item, offset, total_bytes })
}

fn basis() -> impl Strategy<Value = Basis> {
    select(vec![Basis::Quorum, Basis::Referee, Basis::HeldWindow])
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        (credits(), basis()).prop_map(|(cost, basis)| Verdict::Confirmed { cost, basis }),
        (credits(), outcome(), any::<u64>(), basis()).prop_map(|(cost, outcome, units, basis)| Verdict::Revoked {
            cost,
            outcome,
            units,
            basis
        }),
        refusal().prop_map(|code| Verdict::Unverified { code }),
    ]
}

pub(crate) fn knock() -> impl Strategy<Value = Knock> {
    prop_oneof![
        (vec(any::<u16>(), 0..limits::VERSIONS_PER_HELLO), select(vec![Role::Client, Role::Peer]), any_key(), text())
            .prop_map(|(versions, role, key, agent)| Knock::Hello { versions, role, key, agent }),
        bytes().prop_map(|signature| Knock::Proof { signature }),
    ]
}

pub(crate) fn door() -> impl Strategy<Value = Door> {
    prop_oneof![
        (any::<u16>(), digest()).prop_map(|(version, nonce)| Door::Challenge { version, nonce }),
        (account(), any_key(), any::<u32>()).prop_map(|(account, operator, idle_ms)| Door::Welcome {
            account,
            operator,
            idle_ms
        }),
        (refusal(), text()).prop_map(|(code, message)| Door::Refused { code, message }),
    ]
}

pub(crate) fn client_to_server() -> impl Strategy<Value = ClientToServer> {
    let submit = (
        (any::<u64>(), module(), vec(blob(), 0..=limits::BLOBS_PER_TASK), any::<u64>(), any::<u32>()),
        (any::<u8>(), select(vec![Mode::Provisional, Mode::Confirmed]), any::<u8>(), any::<u64>()),
    )
        .prop_map(|((number, module, blobs, seed, deadline_ms), (priority, mode, replicas, max_units))| {
            ClientToServer::Submit { number, module, blobs, seed, deadline_ms, priority, mode, replicas, max_units }
        });
    prop_oneof![
        (any::<u64>(), credits()).prop_map(|(number, budget)| ClientToServer::OpenSession { number, budget }),
        Just(ClientToServer::CloseSession),
        module().prop_map(|module| ClientToServer::QueryKernel { module }),
        submit,
        any::<u64>().prop_map(|number| ClientToServer::Cancel { number }),
        any::<u64>().prop_map(|number| ClientToServer::QueryVerdict { number }),
        (blob(), any::<u64>(), any::<u64>()).prop_map(|(blob, total_bytes, offset)| ClientToServer::PutBlob {
            blob,
            total_bytes,
            offset
        }),
        fetch().prop_map(ClientToServer::Fetch),
    ]
}

pub(crate) fn server_to_client() -> impl Strategy<Value = ServerToClient> {
    prop_oneof![
        (session(), credits()).prop_map(|(session, budget)| ServerToClient::SessionOpened { session, budget }),
        credits().prop_map(|spent| ServerToClient::SessionClosed { spent }),
        (refusal(), text()).prop_map(|(code, message)| ServerToClient::SessionRefused { code, message }),
        (module(), text(), text(), text(), credits(), any::<u64>()).prop_map(
            |(module, name, version, unit, rate, max_units)| {
                ServerToClient::Kernel(KernelInfo { module, name, version, unit, rate, max_units })
            }
        ),
        module().prop_map(|module| ServerToClient::KernelUnknown { module }),
        (any::<u64>(), refusal(), text()).prop_map(|(number, code, message)| ServerToClient::TaskRefused {
            number,
            code,
            message
        }),
        (any::<u64>(), task(), outcome(), any::<u64>(), any::<bool>()).prop_map(
            |(number, task, outcome, units, confirmed)| {
                ServerToClient::TaskResult { number, task, outcome, units, confirmed }
            }
        ),
        (any::<u64>(), verdict()).prop_map(|(number, verdict)| ServerToClient::TaskVerdict { number, verdict }),
        (any::<u64>(), credits(), proptest::option::of((outcome(), any::<u64>()))).prop_map(
            |(number, refund, right)| {
                let right = right.map(|(outcome, units)| RightAnswer { outcome, units });
                ServerToClient::TaskWithdrawn { number, refund, right }
            }
        ),
        blob().prop_map(|blob| ServerToClient::BlobStored { blob }),
        (blob(), refusal(), text()).prop_map(|(blob, code, message)| ServerToClient::BlobRefused {
            blob,
            code,
            message
        }),
        chunk().prop_map(ServerToClient::Chunk),
        Just(ServerToClient::Draining),
    ]
}

pub(crate) fn peer_to_server() -> impl Strategy<Value = PeerToServer> {
    let fault = select(vec![
        Fault::Deadline,
        Fault::Resources,
        Fault::Gpu,
        Fault::Fetch,
        Fault::Preempted,
        Fault::Internal,
        Fault::Other,
    ]);
    let offered = (class(), select(vec![Path::Cpu, Path::Gpu, Path::Exact]))
        .prop_map(|(class, path)| OfferedClass { class, path });
    prop_oneof![
        (any::<u16>(), vec(offered, 0..=limits::CLASSES_PER_PEER), any::<u32>())
            .prop_map(|(slots, classes, speed)| PeerToServer::Offer { slots, classes, speed }),
        (bytes(), outcome(), any::<u64>(), trace_root(), seal()).prop_map(
            |(ticket, outcome, units, trace_root, seal)| {
                PeerToServer::Result { ticket, outcome, units, trace_root, seal }
            }
        ),
        (bytes(), fault).prop_map(|(ticket, fault)| PeerToServer::Fault { ticket, fault }),
        any::<u64>().prop_map(|batch| PeerToServer::SettledAck { batch }),
        fetch().prop_map(PeerToServer::Fetch),
        Just(PeerToServer::QueryEarnings),
    ]
}

pub(crate) fn server_to_peer() -> impl Strategy<Value = ServerToPeer> {
    let assign = (
        (bytes(), task(), nonce(), module(), class()),
        (vec(blob(), 0..=limits::BLOBS_PER_TASK), any::<u64>(), any::<u64>(), any::<u32>()),
    )
        .prop_map(|((ticket, task, nonce, module, class), (blobs, seed, max_units, deadline_ms))| {
            ServerToPeer::Assign { ticket, task, nonce, module, class, blobs, seed, max_units, deadline_ms }
        });
    let standing = select(vec![Standing::Agreed, Standing::Outvoted, Standing::Void]);
    let settled =
        (nonce(), standing, credits()).prop_map(|(nonce, standing, earned)| SettledAttempt { nonce, standing, earned });
    prop_oneof![
        assign,
        nonce().prop_map(|nonce| ServerToPeer::Cancel { nonce }),
        (any::<u64>(), digest(), vec(settled, 0..=limits::SETTLED_PER_MESSAGE))
            .prop_map(|(batch, root, entries)| ServerToPeer::Settled { batch, root, entries }),
        (credits(), credits(), any::<u64>(), any::<u64>()).prop_map(|(balance, earned, agreed, outvoted)| {
            ServerToPeer::Earnings { balance, earned, agreed, outvoted }
        }),
        chunk().prop_map(ServerToPeer::Chunk),
        Just(ServerToPeer::Draining),
    ]
}

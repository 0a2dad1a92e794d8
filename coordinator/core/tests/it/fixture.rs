//! What all tests share: kernels, keys, and what the right answer to a task is.

use bytes::Bytes;
use p2c2r_core::{ConnId, DispatchConfig, Input, Market, MarketConfig, Millis, Network, Output, TrustConfig};
use p2c2r_protocol::Credits;
use p2c2r_protocol::message::{ClientToServer, Mode, OfferedClass, Path, PeerToServer, ServerToClient, ServerToPeer};
use p2c2r_signing::{
    AccountId, Ballot, BlobId, ClassId, Digest, InputDigest, Manifest, ModuleId, Outcome, PublicKey, ResultClass,
    SecretKey, TaskId, TicketKey, TraceRoot, input_digest,
};

pub(crate) const RATE: u64 = 7;
pub(crate) const MAX_UNITS: u64 = 1_000;

pub(crate) fn usd(nano_usd: u64) -> Credits {
    Credits::from_nano_usd(nano_usd)
}

pub(crate) fn account(n: u8) -> AccountId {
    AccountId::from_bytes([n; 16])
}

pub(crate) fn key(n: u8) -> PublicKey {
    SecretKey::from_seed(&[n; 32]).public()
}

pub(crate) fn ticket_key() -> TicketKey {
    TicketKey::from_bytes(&[7; 32])
}

pub(crate) fn module(n: u8) -> ModuleId {
    ModuleId::from_bytes([n; 32])
}

pub(crate) fn cpu(n: u8) -> OfferedClass {
    OfferedClass { class: ClassId::from_bytes([n; 32]), path: Path::Cpu }
}

pub(crate) fn gpu(n: u8) -> OfferedClass {
    OfferedClass { class: ClassId::from_bytes([n; 32]), path: Path::Gpu }
}

pub(crate) fn manifest(gpu: &str) -> Manifest {
    let json = format!(
        r#"{{"name": "echo", "version": "1.0.0", "abi": 1, "publisher": "Example", "unit": "byte",
            "limits": {{"units": {MAX_UNITS}, "input_bytes": 4096, "output_bytes": 4096}}{gpu}}}"#
    );
    Manifest::from_json(json.as_bytes()).unwrap()
}

pub(crate) fn exact(n: u8) -> OfferedClass {
    OfferedClass { class: ClassId::from_bytes([n; 32]), path: Path::Exact }
}

pub(crate) fn exact_manifest(cpu_path: bool) -> Manifest {
    Manifest { result_class: ResultClass::Exact, ..gpu_manifest(cpu_path) }
}

pub(crate) fn gpu_manifest(cpu_path: bool) -> Manifest {
    manifest(&format!(
        r#", "result_class": "device", "gpu": {{"buffers": 1, "buffer_bytes": 64, "dispatches": 1, "workgroups": 1, "cpu_path": {cpu_path}}}"#
    ))
}

/// What came out of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Execution {
    pub(crate) output: Bytes,
    pub(crate) units: u64,
    pub(crate) trace_root: TraceRoot,
}

/// The right result of a task: a function of its input.
pub(crate) fn truth(module: ModuleId, input: InputDigest, max_units: u64) -> Execution {
    execution(&[module.as_bytes().as_slice(), input.as_bytes()].concat(), max_units)
}

/// A result that follows from `seed`.
pub(crate) fn execution(seed: &[u8], max_units: u64) -> Execution {
    let hash = blake3::hash(seed);
    let number = u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap());
    Execution {
        output: Bytes::copy_from_slice(&hash.as_bytes()[..16]),
        units: 1 + number % max_units.min(100),
        trace_root: TraceRoot::from_bytes(*blake3::hash(hash.as_bytes()).as_bytes()),
    }
}

/// An attempt as a peer has it.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) ticket: Vec<u8>,
    pub(crate) task: TaskId,
    pub(crate) nonce: p2c2r_signing::AttemptNonce,
    pub(crate) module: ModuleId,
    pub(crate) class: ClassId,
    pub(crate) input: InputDigest,
    pub(crate) max_units: u64,
    pub(crate) deadline_ms: u32,
}

impl Job {
    pub(crate) fn of(message: ServerToPeer, payload: &Bytes) -> Option<Self> {
        let ServerToPeer::Assign { ticket, task, nonce, module, class, blobs, seed, max_units, deadline_ms } = message
        else {
            return None;
        };
        let input = input_digest(payload, &blobs, seed);
        Some(Self { ticket, task, nonce, module, class, input, max_units, deadline_ms })
    }

    pub(crate) fn truth(&self) -> Execution {
        truth(self.module, self.input, self.max_units)
    }

    /// The result message of an execution, sealed by `peer`.
    pub(crate) fn result(&self, peer: &PublicKey, execution: &Execution) -> (PeerToServer, Bytes) {
        let ballot = Ballot {
            task: self.task,
            module: self.module,
            class: self.class,
            input: self.input,
            outcome: Outcome::Output,
            output: Digest::of(&execution.output),
            units: execution.units,
            trace_root: execution.trace_root,
        };
        let message = PeerToServer::Result {
            ticket: self.ticket.clone(),
            outcome: Outcome::Output,
            units: execution.units,
            trace_root: execution.trace_root,
            seal: ballot.vote().seal(peer, &self.nonce),
        };
        (message, execution.output.clone())
    }
}

/// A submit that nothing is wrong with.
pub(crate) fn submit(number: u64, replicas: u8) -> ClientToServer {
    ClientToServer::Submit {
        number,
        module: module(1),
        blobs: Vec::<BlobId>::new(),
        seed: number,
        deadline_ms: 100,
        priority: 0,
        mode: Mode::Provisional,
        replicas,
        max_units: 100,
    }
}

/// [`submit`], of kernel `n`.
pub(crate) fn submit_of(n: u8, number: u64, replicas: u8) -> ClientToServer {
    let mut message = submit(number, replicas);
    if let ClientToServer::Submit { module: of, .. } = &mut message {
        *of = module(n);
    }
    message
}

/// What clients ask for and nothing more: no audits, pay at once.
pub(crate) fn plain() -> MarketConfig {
    MarketConfig { trust: TrustConfig::OFF, suspend_outvoted: 8, ..MarketConfig::default() }
}

/// A submit of one execution with a deadline.
pub(crate) fn within(number: u64, deadline_ms: u32) -> ClientToServer {
    let ClientToServer::Submit { module, blobs, seed, priority, mode, replicas, max_units, .. } = submit(number, 1)
    else {
        unreachable!("submit gives a submit")
    };
    ClientToServer::Submit { number, module, blobs, seed, deadline_ms, priority, mode, replicas, max_units }
}

/// `tasks` tasks of one execution with a long deadline, each answered after what its peer takes.
pub(crate) fn learn(desk: &mut Desk, client: ConnId, tasks: std::ops::Range<u64>, takes: impl Fn(ConnId) -> u64) {
    for number in tasks {
        desk.client_says(client, within(number, 60_000));
        let jobs = desk.jobs();
        let [(conn, job)] = &jobs[..] else { panic!("{} attempts", jobs.len()) };
        desk.wait(takes(*conn));
        desk.answer(*conn, job, &job.truth());
    }
    desk.heard();
}

/// [`plain`], and no second attempt for a slow one.
pub(crate) fn unhedged() -> MarketConfig {
    MarketConfig { dispatch: DispatchConfig { hedge_percent: 0 }, ..plain() }
}

/// Network `n`.
pub(crate) fn network(n: u8) -> Network {
    Network::of(std::net::Ipv4Addr::new(10, 0, n, 1).into())
}

/// A market with its outputs sorted by whom they are for, and a store that is durable at once.
pub(crate) struct Desk {
    pub(crate) market: Market,
    pub(crate) now: u64,
    pub(crate) to_clients: Vec<(ConnId, ServerToClient, Bytes)>,
    pub(crate) to_peers: Vec<(ConnId, ServerToPeer, Bytes)>,
    pub(crate) closed: Vec<(ConnId, p2c2r_protocol::message::Refusal, String)>,
    pub(crate) admin: Vec<Result<(), String>>,
    pub(crate) commits: Vec<p2c2r_core::Commit>,
    /// Whether commits are acknowledged.
    pub(crate) durable: bool,
}

impl Desk {
    /// Accounts 1 to 9, account 1 with 1,000,000 nano-USD, kernel 1 at [`RATE`].
    pub(crate) fn new(config: MarketConfig) -> Self {
        let mut desk = Self::over(Market::new(config, [1; 32], ticket_key()));
        for n in 1..=9 {
            desk.admin(p2c2r_core::Admin::OpenAccount { account: account(n) }).unwrap();
        }
        desk.deposit(1, 1_000_000);
        desk.kernel(1, manifest(""));
        desk
    }

    pub(crate) fn over(market: Market) -> Self {
        Self {
            market,
            now: 1_000,
            to_clients: Vec::new(),
            to_peers: Vec::new(),
            closed: Vec::new(),
            admin: Vec::new(),
            commits: Vec::new(),
            durable: true,
        }
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.market.handle(Millis(self.now), input);
        while let Some(output) = self.market.poll_output() {
            match output {
                Output::ToClient { conn, message, payload } => self.to_clients.push((conn, message, payload)),
                Output::ToPeer { conn, message, payload } => self.to_peers.push((conn, message, payload)),
                Output::Close { conn, code, message } => self.closed.push((conn, code, message)),
                Output::AdminDone { result, .. } => self.admin.push(result),
                Output::Commit(commit) => {
                    let id = commit.id;
                    self.commits.push(commit);
                    if self.durable {
                        self.market.handle(Millis(self.now), Input::Committed { commit: id });
                    }
                }
            }
        }
        assert!(self.market.ledger_balanced());
    }

    /// Lets time pass, stopping wherever the market asks to be woken.
    pub(crate) fn wait(&mut self, ms: u64) {
        let until = self.now + ms;
        while let Some(at) = self.market.next_deadline().filter(|at| at.0 <= until) {
            self.now = self.now.max(at.0);
            self.input(Input::Tick);
        }
        self.now = until;
        self.input(Input::Tick);
    }

    pub(crate) fn admin(&mut self, command: p2c2r_core::Admin) -> Result<(), String> {
        self.input(Input::Admin { request: 1, command });
        self.admin.pop().unwrap()
    }

    pub(crate) fn deposit(&mut self, to: u8, amount: u64) {
        let reference = format!("deposit {}", self.commits.len());
        self.admin(p2c2r_core::Admin::Deposit { account: account(to), amount: usd(amount), reference }).unwrap();
    }

    pub(crate) fn kernel(&mut self, n: u8, manifest: Manifest) {
        let manifest = Box::new(manifest);
        self.admin(p2c2r_core::Admin::RegisterKernel { module: module(n), manifest, rate: usd(RATE) }).unwrap();
    }

    /// Connects peer `n` of account `n` on connection `100 + n` with some slots of CPU class 1.
    pub(crate) fn peer(&mut self, n: u8, slots: u16) -> ConnId {
        self.peer_of(n, slots, &[cpu(1)])
    }

    /// [`Self::peer`], with slots of these classes.
    pub(crate) fn peer_of(&mut self, n: u8, slots: u16, classes: &[OfferedClass]) -> ConnId {
        let conn = ConnId(100 + u64::from(n));
        self.input(Input::PeerConnected { conn, account: account(n), key: key(n), network: network(n) });
        self.peer_says(conn, PeerToServer::Offer { slots, classes: classes.to_vec(), speed: 1 }, Bytes::new());
        conn
    }

    /// Connects account `n` on connection `n` and opens its session `number`.
    pub(crate) fn client(&mut self, n: u8, number: u64, budget: u64) -> ConnId {
        let conn = ConnId(u64::from(n));
        self.input(Input::ClientConnected { conn, account: account(n) });
        self.client_says(conn, ClientToServer::OpenSession { number, budget: usd(budget) });
        conn
    }

    pub(crate) fn client_says(&mut self, conn: ConnId, message: ClientToServer) {
        self.input(Input::Client { conn, message, payload: Bytes::from_static(b"input") });
    }

    pub(crate) fn peer_says(&mut self, conn: ConnId, message: PeerToServer, payload: Bytes) {
        self.input(Input::Peer { conn, message, payload });
    }

    /// The attempts handed out since the last call.
    pub(crate) fn jobs(&mut self) -> Vec<(ConnId, Job)> {
        let taken = std::mem::take(&mut self.to_peers);
        let (jobs, rest): (Vec<_>, Vec<_>) =
            taken.into_iter().partition(|(_, m, _)| matches!(m, ServerToPeer::Assign { .. }));
        self.to_peers = rest;
        jobs.into_iter().map(|(conn, message, payload)| (conn, Job::of(message, &payload).unwrap())).collect()
    }

    /// Peer `conn - 100` answers a job.
    pub(crate) fn answer(&mut self, conn: ConnId, job: &Job, execution: &Execution) {
        let peer = key(u8::try_from(conn.0 - 100).unwrap());
        let (message, payload) = job.result(&peer, execution);
        self.peer_says(conn, message, payload);
    }

    /// What clients heard since the last call, without payloads.
    pub(crate) fn heard(&mut self) -> Vec<ServerToClient> {
        std::mem::take(&mut self.to_clients).into_iter().map(|(_, message, _)| message).collect()
    }

    /// What peers heard of settlements since the last call.
    pub(crate) fn settled(&mut self) -> Vec<(ConnId, p2c2r_protocol::message::SettledAttempt)> {
        let taken = std::mem::take(&mut self.to_peers);
        taken
            .into_iter()
            .filter_map(|(conn, message, _)| match message {
                ServerToPeer::Settled { entries, .. } => Some(entries.into_iter().map(move |e| (conn, e))),
                _ => None,
            })
            .flatten()
            .collect()
    }
}

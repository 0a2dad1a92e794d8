//! The cost of one dispatch decision by the number of peers connected: a submit goes in, the assignments come out. What
//! it takes to answer and settle the task is not measured.
//!
//! Eight kernels, half of them with shaders; peers of three CPU and three GPU classes, each with a history of the kernels; 64
//! clients; 3 % of tasks audited. `cargo bench -p p2c2r-core --bench dispatch`.

use std::cell::RefCell;
use std::hint::black_box;
use std::net::Ipv4Addr;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion};
use p2c2r_core::{Admin, ConnId, Input, Market, MarketConfig, Millis, Network, Output, TrustConfig};
use p2c2r_protocol::Credits;
use p2c2r_protocol::message::{ClientToServer, Mode, OfferedClass, Path, PeerToServer, ServerToPeer};
use p2c2r_signing::{
    AccountId, Ballot, ClassId, Digest, Manifest, ModuleId, Outcome, PublicKey, SecretKey, TicketKey, TraceRoot,
    input_digest,
};

const PEERS: [u64; 3] = [1_000, 10_000, 100_000];
const CLIENTS: u64 = 64;
const KERNELS: u8 = 8;
const CLASSES: u64 = 3;
/// Tasks each peer runs in the mean before anything is measured: enough that most have a task's kernel, however many they are.
const WARM_UP: u64 = 16;

struct Bench {
    market: Market,
    now: u64,
    peers: Vec<PublicKey>,
    /// Assignments that wait for an answer.
    assigned: Vec<(ConnId, ServerToPeer, Bytes)>,
    submitted: u64,
}

fn account(n: u64) -> AccountId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&n.to_le_bytes());
    // The accounts of real keys are in no order.
    AccountId::from_bytes(first(blake3::hash(&bytes).as_bytes()))
}

fn first<const N: usize>(hash: &[u8; 32]) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&hash[..N]);
    bytes
}

fn class(path: Path, n: u64) -> OfferedClass {
    let kind = if path == Path::Cpu { 1 } else { 2 };
    OfferedClass { class: ClassId::from_bytes([kind * 16 + u8::try_from(n).unwrap_or(0); 32]), path }
}

fn manifest(shaders: bool) -> Manifest {
    let gpu = r#", "result_class": "device", "gpu": {"buffers": 1, "buffer_bytes": 64, "dispatches": 1, "workgroups": 1, "cpu_path": true}"#;
    let json = format!(
        r#"{{"name": "bench", "version": "1.0.0", "abi": 1, "publisher": "Bench", "unit": "unit",
            "limits": {{"units": 4096, "input_bytes": 4096, "output_bytes": 4096}}{}}}"#,
        if shaders { gpu } else { "" }
    );
    Manifest::from_json(json.as_bytes()).expect("a good manifest")
}

impl Bench {
    fn new(peers: u64) -> Self {
        // Nobody on probation: it would take millions of tasks for everybody to pass it.
        let trust = TrustConfig { probation: 0, unchecked_ppm: 1_000_000, ..TrustConfig::default() };
        let market =
            Market::new(MarketConfig { trust, ..MarketConfig::default() }, [7; 32], TicketKey::from_bytes(&[8; 32]));
        let mut bench = Self { market, now: 1_000, peers: Vec::new(), assigned: Vec::new(), submitted: 0 };
        for n in 0..KERNELS {
            let (module, manifest) = (ModuleId::from_bytes([n; 32]), Box::new(manifest(n % 2 == 0)));
            bench.admin(Admin::RegisterKernel { module, manifest, rate: Credits::from_nano_usd(1) });
        }
        for n in 0..peers {
            bench.connect(n);
        }
        for n in 0..CLIENTS {
            let (conn, account) = (ConnId((1 << 32) | n), account((1 << 32) | n));
            let amount = Credits::from_nano_usd(1 << 56);
            bench.admin(Admin::OpenAccount { account });
            bench.admin(Admin::Deposit { account, amount, reference: n.to_string() });
            bench.input(Input::ClientConnected { conn, account });
            let message = ClientToServer::OpenSession { number: 0, budget: amount };
            bench.input(Input::Client { conn, message, payload: Bytes::new() });
        }
        for _ in 0..peers * WARM_UP {
            let submit = bench.next();
            bench.input(submit);
            bench.settle();
        }
        bench
    }

    fn connect(&mut self, n: u64) {
        let (conn, account) = (ConnId(n), account(n));
        let key = SecretKey::from_seed(blake3::hash(&n.to_le_bytes()).as_bytes()).public();
        let network = Network::of(Ipv4Addr::from_bits(u32::try_from(n).unwrap_or(0) << 8).into());
        self.peers.push(key);
        self.admin(Admin::OpenAccount { account });
        self.input(Input::PeerConnected { conn, account, key, network });
        let mut classes = vec![class(Path::Cpu, n % CLASSES)];
        if n.is_multiple_of(2) {
            classes.push(class(Path::Gpu, n / 2 % CLASSES));
        }
        let message = PeerToServer::Offer { slots: 4, classes, speed: 1 };
        self.input(Input::Peer { conn, message, payload: Bytes::new() });
    }

    /// The next task.
    fn next(&mut self) -> Input {
        let n = self.submitted;
        self.submitted += 1;
        let message = ClientToServer::Submit {
            number: n / CLIENTS,
            module: ModuleId::from_bytes([u8::try_from(n % u64::from(KERNELS)).unwrap_or(0); 32]),
            blobs: Vec::new(),
            seed: n,
            deadline_ms: 100,
            priority: 0,
            mode: Mode::Provisional,
            replicas: 1,
            max_units: [100, 1_000][usize::from(n.is_multiple_of(3))],
        };
        Input::Client { conn: ConnId((1 << 32) | (n % CLIENTS)), message, payload: Bytes::from_static(&[7; 128]) }
    }

    fn admin(&mut self, command: Admin) {
        self.input(Input::Admin { request: 0, command });
    }

    /// What is measured.
    fn input(&mut self, input: Input) -> usize {
        self.market.handle(Millis(self.now), input);
        let mut outputs = 0;
        while let Some(output) = self.market.poll_output() {
            outputs += 1;
            match output {
                Output::ToPeer { conn, message: message @ ServerToPeer::Assign { .. }, payload } => {
                    self.assigned.push((conn, message, payload));
                }
                Output::ToPeer { conn, message: ServerToPeer::Settled { batch, .. }, .. } => {
                    let message = PeerToServer::SettledAck { batch };
                    self.market.handle(Millis(self.now), Input::Peer { conn, message, payload: Bytes::new() });
                }
                Output::Commit(commit) => {
                    self.market.handle(Millis(self.now), Input::Committed { commit: commit.id });
                }
                Output::ToPeer { .. } | Output::ToClient { .. } | Output::Close { .. } | Output::AdminDone { .. } => {}
            }
        }
        outputs
    }

    /// Everything assigned is answered, after a while that depends on the peer.
    fn settle(&mut self) {
        while let Some((conn, message, payload)) = self.assigned.pop() {
            let ServerToPeer::Assign { ticket, task, nonce, module, class, blobs, seed, .. } = message else {
                continue;
            };
            self.now += 5 + conn.0 % 7;
            let (output, units, trace_root) = (Bytes::from_static(&[1; 128]), 10, TraceRoot::from_bytes([0; 32]));
            let ballot = Ballot {
                task,
                module,
                class,
                input: input_digest(&payload, &blobs, seed),
                outcome: Outcome::Output,
                output: Digest::of(&output),
                units,
                trace_root,
            };
            let Some(peer) = usize::try_from(conn.0).ok().and_then(|n| self.peers.get(n)) else { continue };
            let seal = ballot.vote().seal(peer, &nonce);
            let message = PeerToServer::Result { ticket, outcome: Outcome::Output, units, trace_root, seal };
            self.input(Input::Peer { conn, message, payload: output });
        }
        self.input(Input::Tick);
    }
}

fn dispatch(c: &mut Criterion) {
    let mut group = c.benchmark_group("dispatch");
    for peers in PEERS {
        let bench = RefCell::new(Bench::new(peers));
        group.bench_function(BenchmarkId::from_parameter(peers), |b| {
            let prepare = || {
                let mut bench = bench.borrow_mut();
                bench.settle();
                bench.next()
            };
            b.iter_batched(prepare, |submit| black_box(bench.borrow_mut().input(submit)), BatchSize::PerIteration);
        });
        let stats = bench.borrow().market.stats();
        assert!(
            stats.tasks_refused == 0 && stats.attempts >= stats.tasks_submitted,
            "every task was assigned: {stats:?}"
        );
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    dispatch(&mut criterion);
    criterion.final_summary();
}

//! The network: actors, connections with delays, the store and the coordinator that may die.

use std::collections::BTreeMap;

use bytes::Bytes;
use p2c2r_core::identity::task_id;
use p2c2r_core::{Admin, ConnId, Input, Limits, Market, MarketConfig, Millis, Output, Snapshot, TrustConfig};
use p2c2r_protocol::message::{
    ClientToServer, Fault, Mode, OfferedClass, PeerToServer, ServerToClient, ServerToPeer, Verdict,
};
use p2c2r_signing::{AttemptNonce, Digest, TaskId, input_digest};

use super::audit::{Answered, Audit};
use super::client::{Asked, Client, Counts, End};
use super::dice::Dice;
use super::peer::{Character, Done, Peer};
use super::store::Store;
use crate::fixture::{
    Job, MAX_UNITS, account, cpu, exact, exact_manifest, gpu, gpu_manifest, key, manifest, module, network, ticket_key,
    usd,
};

/// Accounts of clients start here; peers' at 1.
const CLIENTS: u8 = 100;
/// The last of the peers.
const REFEREE: u8 = 13;

#[derive(Debug)]
enum Event {
    /// Something reaches the coordinator of this life.
    Input(u32, Input),
    ToClient(usize, ConnId, ServerToClient, Bytes),
    ToPeer(usize, ConnId, ServerToPeer, Bytes),
    Closed(ConnId),
    ClientTurn(usize),
    PeerConnects(usize),
    PeerDone(usize, AttemptNonce),
    StoreWrites(u32),
    StoreStops(bool),
    Crash,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) journal: Option<Digest>,
    counts: Vec<Counts>,
    crashes: u64,
    recovered: u64,
    refereed: u64,
    rechecked: [u64; 2],
    goldens: u64,
    outvoted: u64,
    void: u64,
    forfeited: u64,
    refunded: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) submitted: u64,
    pub(crate) refused: u64,
    pub(crate) confirmed: u64,
    pub(crate) revoked: u64,
    pub(crate) unverified: u64,
    pub(crate) crashes: u64,
    pub(crate) recovered: u64,
    pub(crate) refereed: u64,
    /// Right and wrong ones.
    pub(crate) rechecked: [u64; 2],
    pub(crate) goldens: u64,
    pub(crate) outvoted: u64,
    pub(crate) void: u64,
    pub(crate) forfeited: u64,
    pub(crate) refunded: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, run: &Run) {
        for counts in &run.counts {
            self.submitted += counts.submitted;
            self.refused += counts.refused;
            self.confirmed += counts.confirmed;
            self.revoked += counts.revoked;
            self.unverified += counts.unverified;
        }
        self.crashes += run.crashes;
        self.recovered += run.recovered;
        self.refereed += run.refereed;
        self.goldens += run.goldens;
        for (sum, n) in self.rechecked.iter_mut().zip(run.rechecked) {
            *sum += n;
        }
        self.outvoted += run.outvoted;
        self.void += run.void;
        self.forfeited += run.forfeited;
        self.refunded += run.refunded;
    }
}

pub(crate) struct World {
    dice: Dice,
    now: u64,
    events: BTreeMap<(u64, u64), Event>,
    next_event: u64,
    /// How many clients have to choose from.
    kernels: u8,
    market: Market,
    /// Which coordinator this is; what was sent to one before is lost.
    life: u32,
    store: Store,
    audit: Audit,
    clients: Vec<Client>,
    /// What peers never learn.
    replicas: BTreeMap<TaskId, u8>,
    peers: Vec<Peer>,
    conns: BTreeMap<ConnId, Actor>,
    /// When the last message of a connection arrives, per direction: they stay in order.
    last_arrival: BTreeMap<(ConnId, bool), u64>,
    next_conn: u64,
    turns_left: u64,
    /// Ticks since time last moved.
    ticks: u32,
    crashes: u64,
    recovered: u64,
    refereed: u64,
    rechecked: [u64; 2],
    goldens: u64,
}

/// What peers have besides a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Adapters {
    /// Every other one has an adapter, all of one numeric class.
    Alike,
    /// A third each has an adapter of one numeric class, one of another, or none; and there are exact shaders, which most run.
    Differ,
}

impl Adapters {
    /// What peer `n` offers.
    fn classes(self, n: u8) -> Vec<OfferedClass> {
        match self {
            Self::Alike if n.is_multiple_of(2) || n == REFEREE => vec![cpu(1), gpu(2)],
            Self::Alike => vec![cpu(1)],
            Self::Differ => {
                let adapter = (!n.is_multiple_of(3)).then(|| gpu(1 + n % 3));
                let reference = (!n.is_multiple_of(4)).then(|| exact(4));
                [cpu(1)].into_iter().chain(adapter).chain(reference).collect()
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Actor {
    Client(usize),
    Peer(usize),
}

fn config() -> MarketConfig {
    MarketConfig {
        settle_every_ms: 200,
        verify_window_ms: 2_000,
        hold_grace_ms: 20_000,
        recovery_ms: 8_000,
        suspend_outvoted: 20,
        suspend_ms: 3_000,
        cooldown_ms: 300,
        referees: [account(REFEREE)].into(),
        trust: TrustConfig {
            probation: 4,
            floor_ppm: 200_000,
            held_tasks: 10,
            golden_ppm: 50_000,
            ..TrustConfig::default()
        },
        limits: Limits {
            commits_in_flight: 12,
            tasks_per_session: 40,
            pending: 12,
            batch_executions: 40,
            settled_entries: 3,
            // Five tasks: some answers are run again, some only withdrawn.
            recheck_bytes: 2_700,
            ..Limits::default()
        },
        ..MarketConfig::default()
    }
}

impl World {
    pub(crate) fn new(seed: u64, adapters: Adapters) -> Self {
        let mut dice = Dice::new(seed);
        let market = Market::new(config(), dice.seed(), ticket_key());
        let peers = peers(&mut dice, adapters);
        let clients = clients(&mut dice);
        let mut world = Self {
            dice,
            now: 1_000,
            events: BTreeMap::new(),
            next_event: 0,
            kernels: if adapters == Adapters::Alike { 3 } else { 4 },
            market,
            life: 0,
            store: Store::default(),
            audit: Audit::default(),
            clients,
            replicas: BTreeMap::new(),
            peers,
            conns: BTreeMap::new(),
            last_arrival: BTreeMap::new(),
            next_conn: 0,
            turns_left: 0,
            ticks: 0,
            crashes: 0,
            recovered: 0,
            refereed: 0,
            rechecked: [0; 2],
            goldens: 0,
        };
        world.found();
        world
    }

    /// Accounts, money, kernels; durable before anything happens.
    fn found(&mut self) {
        let mut commands = Vec::new();
        for peer in &self.peers {
            commands.push(Admin::OpenAccount { account: account(peer.account) });
        }
        for client in &self.clients {
            commands.push(Admin::OpenAccount { account: account(client.account) });
            let reference = format!("start {}", client.account);
            commands.push(Admin::Deposit {
                account: account(client.account),
                amount: usd(client.budget * 3),
                reference,
            });
        }
        let manifests = [manifest(""), gpu_manifest(true), gpu_manifest(false), exact_manifest(true)];
        for (n, manifest) in (1..=self.kernels).zip(manifests) {
            let rate = usd(u64::from(n) * 7 + 1);
            commands.push(Admin::RegisterKernel { module: module(n), manifest: Box::new(manifest), rate });
        }
        for (request, command) in commands.into_iter().enumerate() {
            self.input(Input::Admin { request: request as u64, command });
            self.write_all();
        }
        for peer in 0..self.peers.len() {
            let at = self.dice.between(0, 300);
            self.after(at, Event::PeerConnects(peer));
        }
        for client in 0..self.clients.len() {
            let at = self.dice.between(100, 600);
            self.after(at, Event::ClientTurn(client));
        }
    }

    pub(crate) fn run(mut self, turns: u64) -> Run {
        self.turns_left = turns;
        for _ in 0..turns / 100 {
            let (at, what) = (self.dice.between(500, 20_000), self.dice.below(3));
            match what {
                0 => self.after(at, Event::Crash),
                1 => {
                    self.after(at, Event::StoreStops(true));
                    let back = at + self.dice.between(10, 3_000);
                    self.after(back, Event::StoreStops(false));
                }
                _ => {}
            }
        }
        while self.turns_left > 0 || !self.events.is_empty() {
            self.step();
        }
        self.end();
        Run {
            journal: self.store.durable.chain,
            counts: self.clients.iter().map(|c| c.counts.clone()).collect(),
            crashes: self.crashes,
            recovered: self.recovered,
            refereed: self.refereed,
            rechecked: self.rechecked,
            goldens: self.goldens,
            outvoted: self.audit.outvoted,
            void: self.audit.void,
            forfeited: self.audit.forfeited.values().sum(),
            refunded: self.audit.refunded,
        }
    }

    /// The next event, or time for the market, whichever is first.
    fn step(&mut self) {
        let event = self.events.first_key_value().map(|(&(at, _), _)| at);
        let due = self.market.next_deadline().map(|at| at.0.max(self.now));
        match (event, due) {
            (Some(event), due) if due.is_none_or(|due| event <= due) => {
                if event > self.now {
                    self.ticks = 0;
                }
                self.now = event;
                if let Some((_, event)) = self.events.pop_first() {
                    self.happen(event);
                }
            }
            (_, Some(due)) => {
                self.ticks = if due > self.now { 0 } else { self.ticks + 1 };
                assert!(self.ticks < 20, "time moves on");
                self.now = due;
                self.input(Input::Tick);
            }
            (_, None) => {}
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Input(life, input) if life == self.life => self.input(input),
            Event::Input(..) => {}
            Event::ToClient(id, conn, message, payload) => {
                if self.clients[id].conn == Some(conn) {
                    self.clients[id].hear(message, payload, self.life);
                }
            }
            Event::ToPeer(id, conn, message, payload) => {
                if self.peers[id].conn == Some(conn) {
                    self.peer_hears(id, conn, message, &payload);
                }
            }
            Event::Closed(conn) => self.drop_conn(conn),
            Event::ClientTurn(id) => self.client_turn(id),
            Event::PeerConnects(id) => self.peer_connects(id),
            Event::PeerDone(id, nonce) => self.peer_done(id, nonce),
            Event::StoreWrites(life) => {
                if life == self.life && !self.store.stopped {
                    self.store_writes();
                }
            }
            Event::StoreStops(stopped) => {
                self.store.stopped = stopped;
                self.input(Input::StoreHealth { ok: !stopped });
                if !stopped {
                    self.write_all();
                }
            }
            Event::Crash => self.crash(),
        }
    }

    /// One input to the market, and everything it wants done.
    fn input(&mut self, input: Input) {
        self.market.handle(Millis(self.now), input);
        while let Some(output) = self.market.poll_output() {
            self.output(output);
        }
        assert!(self.market.ledger_balanced(), "the ledger is balanced after every step");
        for session in self.market.sessions() {
            let used = session.spent.checked_add(session.reserved).unwrap();
            assert!(used <= session.budget, "{used} of {} used", session.budget);
        }
        let stats = self.market.stats();
        assert!(stats.pending <= config().limits.pending as u64);
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::ToClient { conn, message, payload } => {
                if let Some(&Actor::Client(id)) = self.conns.get(&conn) {
                    let at = self.arrival(conn, true);
                    self.at(at, Event::ToClient(id, conn, message, payload));
                }
            }
            Output::ToPeer { conn, message, payload } => {
                if let Some(&Actor::Peer(id)) = self.conns.get(&conn) {
                    let at = self.arrival(conn, true);
                    self.at(at, Event::ToPeer(id, conn, message, payload));
                }
            }
            Output::Close { conn, code, message } => {
                if let Some(&Actor::Peer(id)) = self.conns.get(&conn) {
                    let again = message == "its key connected again";
                    assert!(!self.peers[id].is_honest() || again, "an honest peer was closed: {code:?} {message}");
                }
                let at = self.arrival(conn, true);
                self.at(at, Event::Closed(conn));
            }
            Output::Commit(commit) => {
                self.store.take(commit);
                let delay = self.dice.between(1, 40);
                self.after(delay, Event::StoreWrites(self.life));
            }
            Output::AdminDone { result, .. } => result.unwrap(),
        }
    }

    fn store_writes(&mut self) {
        let Some(commit) = self.store.write() else { return };
        self.audit.commit(&commit, &self.store.durable);
        self.input(Input::Committed { commit: commit.id });
    }

    fn write_all(&mut self) {
        while self.store.waiting() > 0 {
            self.store_writes();
        }
    }

    /// The coordinator dies and another one takes over what the store has.
    fn crash(&mut self) {
        let written = self.dice.below(self.store.waiting() as u64 + 1);
        for _ in 0..written {
            if let Some(commit) = self.store.write() {
                self.audit.commit(&commit, &self.store.durable);
            }
        }
        self.store.crash();
        self.crashes += 1;
        self.count();
        self.life += 1;
        for conn in self.conns.keys().copied().collect::<Vec<_>>() {
            self.drop_conn(conn);
        }
        self.market =
            Market::restore(config(), self.dice.seed(), ticket_key(), self.store.durable.clone(), Millis(self.now));
        let kept: Vec<_> = self.market.ledger().balances().filter(|(_, b)| *b != 0).collect();
        let stored: Vec<_> = self.store.durable.balances.iter().copied().filter(|(_, b)| *b != 0).collect();
        assert_eq!(kept, stored, "a restart knows every balance");
    }

    /// Everything stops and settles; then the books must close.
    fn end(&mut self) {
        for id in 0..self.clients.len() {
            if let Some(conn) = self.clients[id].conn {
                self.hang_up(conn);
            }
        }
        for _ in 0..3 {
            let until = self.now + config().hold_grace_ms + 10_000;
            for id in 0..self.peers.len() {
                self.after(0, Event::PeerConnects(id));
            }
            while self.now < until {
                let event = self.events.first_key_value().map(|(&(at, _), _)| at);
                let due = self.market.next_deadline().map(|at| at.0);
                match [event, due].into_iter().flatten().min().filter(|at| *at <= until) {
                    Some(_) => self.step(),
                    None => self.now = until,
                }
            }
        }
        let stats = self.market.stats();
        assert_eq!((stats.tasks, stats.pending, stats.unsettled, stats.sessions), (0, 0, 0, 0), "everything drains");
        assert_eq!((stats.running, stats.commits_in_flight), (0, 0), "everything drains");
        self.count();
        self.check_peers();
        self.check_clients();
        self.check_books();
    }

    /// Takes over what a market counted in its life.
    fn count(&mut self) {
        let stats = self.market.stats();
        self.recovered += stats.tasks_recovered;
        self.refereed += stats.tasks_on_referee;
        self.goldens += stats.goldens;
        self.rechecked[0] += stats.rechecks_right;
        self.rechecked[1] += stats.rechecks_wrong;
    }

    fn check_peers(&self) {
        for peer in &self.peers {
            assert!(peer.kept.is_empty(), "{:?} still waits for {:?}", peer.character, peer.kept.keys());
            for (nonce, told) in &peer.told {
                let settled = self.audit.settled.get(nonce);
                match told {
                    (p2c2r_protocol::message::Standing::Void, 0) if settled.is_none() => {}
                    told => assert_eq!(
                        settled,
                        Some(told),
                        "peers are told what the ledger says: {nonce} {:?}",
                        peer.character
                    ),
                }
            }
            let earned = self.audit.earned.get(&peer.key).copied().unwrap_or(0);
            let owner = account(peer.account);
            let lost = self.audit.forfeited.get(&owner).copied().unwrap_or(0);
            let kept = self.market.ledger().withheld(owner).checked_add(self.market.balance(owner).unwrap()).unwrap();
            assert_eq!(kept.nano_usd() + lost, earned, "peers get what they earned, or lose it for a lie");
            assert!(lost == 0 || !peer.is_honest(), "an honest peer loses nothing");
        }
    }

    fn check_clients(&self) {
        for client in &self.clients {
            for (task, asked) in &client.tasks {
                let (Some(End::Verdict(Verdict::Confirmed { cost, .. } | Verdict::Revoked { cost, .. })), replicas) =
                    (asked.end, asked.replicas)
                else {
                    continue;
                };
                let settled = self.audit.costs.get(task);
                // With one replica a lie is as good as the truth, and after a restart another one may be it.
                assert!(
                    settled == Some(&cost.nano_usd()) || (replicas == 1 && settled.is_some()),
                    "confirmed is paid: {task:?} {settled:?} {cost}"
                );
            }
        }
    }

    fn check_books(&self) {
        let Snapshot { balances, holds, settled, .. } = &self.store.durable;
        assert!(holds.is_empty() && settled.is_empty(), "no hold is left open");
        let kept: Vec<_> = self.market.ledger().balances().filter(|(_, b)| *b != 0).collect();
        let stored: Vec<_> = balances.iter().copied().filter(|(_, b)| *b != 0).collect();
        assert_eq!(kept, stored, "the store knows what the market knows");
        let deposited: u64 = self.clients.iter().map(|c| c.budget * 3).sum();
        let (spent, earned): (u64, u64) = (self.audit.costs.values().sum(), self.audit.earned.values().sum());
        let (lost, refunded) = (self.audit.forfeited.values().sum::<u64>(), self.audit.refunded);
        let ordered = self.audit.ordered;
        assert_eq!(self.market.platform(), usd(spent - ordered - earned + lost - refunded));
        let left: u64 = self.clients.iter().map(|c| self.market.balance(account(c.account)).unwrap().nano_usd()).sum();
        assert_eq!(left + spent - ordered, deposited + refunded);
    }

    fn peer_hears(&mut self, id: usize, conn: ConnId, message: ServerToPeer, payload: &Bytes) {
        match message {
            ServerToPeer::Settled { batch, entries, .. } => {
                for entry in &entries {
                    self.peers[id].settled(entry);
                }
                self.peer_says(id, PeerToServer::SettledAck { batch }, Bytes::new());
            }
            ServerToPeer::Cancel { nonce } => {
                self.peers[id].running.remove(&nonce);
            }
            message => {
                let Some(job) = Job::of(message, payload) else { return };
                let offered = self.peers[id].classes.iter().any(|offered| offered.class == job.class);
                assert!(offered, "peers are asked for what they offer: {:?}", job.class);
                let takes = self.peers[id].takes(&job, &mut self.dice);
                self.after(takes, Event::PeerDone(id, job.nonce));
                self.peers[id].running.insert(job.nonce, job);
                assert!(self.peers[id].conn == Some(conn));
            }
        }
    }

    fn peer_done(&mut self, id: usize, nonce: AttemptNonce) {
        let job = self.peers[id].running.get(&nonce).cloned();
        match self.peers[id].finish(&nonce, &mut self.dice) {
            Done::Nothing => {}
            Done::Result { execution, broken_seal } => {
                let Some(job) = job else { return };
                let right = execution == job.truth();
                // What the platform has run again is held against what was claimed before.
                let replicas = self.replicas.get(&job.task).copied().unwrap_or(2);
                self.audit.answers.insert(nonce, Answered { right, broken_seal, replicas });
                if let Some((message, payload)) = self.peers[id].result(&nonce, broken_seal) {
                    self.peer_says(id, message, payload);
                }
            }
            Done::Fault => {
                let Some(job) = job else { return };
                self.peer_says(id, PeerToServer::Fault { ticket: job.ticket, fault: Fault::Resources }, Bytes::new());
            }
            Done::Vanish => {
                if let Some(conn) = self.peers[id].conn {
                    self.hang_up(conn);
                }
                let takes = self.dice.between(1, 3_000);
                self.after(takes, Event::PeerDone(id, nonce));
            }
        }
    }

    fn peer_connects(&mut self, id: usize) {
        if self.peers[id].conn.is_some() {
            return;
        }
        let conn = self.connect(Actor::Peer(id));
        let peer = &mut self.peers[id];
        peer.conn = Some(conn);
        let (account, key, network) = (account(peer.account), peer.key, network(peer.account));
        let offer = PeerToServer::Offer { slots: peer.slots, classes: peer.classes.clone(), speed: 1 };
        let mut messages = vec![(offer, Bytes::new())];
        // A result sent with a broken seal before is sent right now, which is too late.
        messages.extend(peer.kept.keys().filter_map(|nonce| peer.result(nonce, false)));
        self.send(conn, Input::PeerConnected { conn, account, key, network });
        for (message, payload) in messages {
            self.peer_says(id, message, payload);
        }
    }

    fn peer_says(&mut self, id: usize, message: PeerToServer, payload: Bytes) {
        if let Some(conn) = self.peers[id].conn {
            self.send(conn, Input::Peer { conn, message, payload });
        }
    }

    fn client_turn(&mut self, id: usize) {
        if self.turns_left == 0 {
            return;
        }
        self.turns_left -= 1;
        let next = self.dice.between(1, 250);
        self.after(next, Event::ClientTurn(id));
        let client = &self.clients[id];
        let [cancels, leaves, closes] = client.habits;
        let (number, budget) = (client.session_number, usd(client.budget));
        match (client.conn, client.session) {
            (None, _) => {
                let conn = self.connect(Actor::Client(id));
                self.clients[id].conn = Some(conn);
                let account = account(self.clients[id].account);
                self.send(conn, Input::ClientConnected { conn, account });
                self.client_says(id, ClientToServer::OpenSession { number, budget });
            }
            (Some(_), None) => self.client_says(id, ClientToServer::OpenSession { number, budget }),
            (Some(conn), Some(_)) if self.dice.percent(leaves) => self.hang_up(conn),
            (Some(_), Some(_)) if self.dice.percent(closes) => self.client_says(id, ClientToServer::CloseSession),
            (Some(_), Some(_)) if self.dice.percent(cancels) => {
                let back = self.dice.between(1, 3);
                let number = self.clients[id].next_task.saturating_sub(back);
                self.client_says(id, ClientToServer::Cancel { number });
            }
            (Some(_), Some(session)) => {
                for _ in 0..self.dice.between(1, 6) {
                    self.submit(id, session);
                }
            }
        }
    }

    fn submit(&mut self, id: usize, session: p2c2r_signing::SessionId) {
        let number = self.clients[id].next_task;
        self.clients[id].next_task += if self.dice.percent(5) { 2 } else { 1 };
        let dice = &mut self.dice;
        let mode = if dice.percent(25) { Mode::Confirmed } else { Mode::Provisional };
        let replicas = if dice.percent(3) { 0 } else { u8::try_from(dice.between(1, 3)).unwrap() };
        let module = module(u8::try_from(dice.between(1, self.kernels.into())).unwrap());
        let max_units = if dice.percent(2) { MAX_UNITS + 1 } else { dice.between(1, 200) };
        let deadline_ms = if dice.percent(2) { 0 } else { u32::try_from(dice.between(20, 600)).unwrap() };
        let (seed, priority) = (dice.below(1 << 40), u8::try_from(dice.below(256)).unwrap());
        let message = ClientToServer::Submit {
            number,
            module,
            blobs: Vec::new(),
            seed,
            deadline_ms,
            priority,
            mode,
            replicas,
            max_units,
        };
        let payload = Bytes::from(number.to_le_bytes().to_vec());
        let input = input_digest(&payload, &[], seed);
        let twice = self.dice.percent(5);
        let (life, missed, answer, end) = (self.life, false, None, None);
        let asked = Asked { module, input, max_units, mode, replicas, life, twice, missed, answer, end };
        self.clients[id].tasks.insert((session, number), asked);
        self.replicas.insert(task_id(session, number), replicas);
        self.clients[id].counts.submitted += 1;
        if let Some(conn) = self.clients[id].conn {
            self.send(conn, Input::Client { conn, message: message.clone(), payload: payload.clone() });
            if twice {
                self.send(conn, Input::Client { conn, message, payload });
            }
        }
    }

    fn client_says(&mut self, id: usize, message: ClientToServer) {
        if let Some(conn) = self.clients[id].conn {
            self.send(conn, Input::Client { conn, message, payload: Bytes::new() });
        }
    }

    fn connect(&mut self, actor: Actor) -> ConnId {
        self.next_conn += 1;
        let conn = ConnId(self.next_conn);
        self.conns.insert(conn, actor);
        conn
    }

    /// An actor ends its connection; the coordinator hears of it later.
    fn hang_up(&mut self, conn: ConnId) {
        self.send(conn, Input::Disconnected { conn });
        self.drop_conn(conn);
    }

    /// An actor finds its connection gone, and comes back after a while.
    fn drop_conn(&mut self, conn: ConnId) {
        match self.conns.remove(&conn) {
            Some(Actor::Client(id)) => {
                self.clients[id].disconnected();
            }
            Some(Actor::Peer(id)) => {
                self.peers[id].conn = None;
                let away = self.dice.between(5, 4_000);
                self.after(away, Event::PeerConnects(id));
            }
            None => {}
        }
    }

    fn send(&mut self, conn: ConnId, input: Input) {
        let at = self.arrival(conn, false);
        self.at(at, Event::Input(self.life, input));
    }

    fn arrival(&mut self, conn: ConnId, to_actor: bool) -> u64 {
        let delay = self.dice.between(1, 20);
        let last = self.last_arrival.entry((conn, to_actor)).or_insert(0);
        *last = (*last).max(self.now + delay);
        *last
    }

    fn after(&mut self, ms: u64, event: Event) {
        self.at(self.now + ms, event);
    }

    fn at(&mut self, at: u64, event: Event) {
        self.next_event += 1;
        self.events.insert((at, self.next_event), event);
    }
}

fn peers(dice: &mut Dice, adapters: Adapters) -> Vec<Peer> {
    use Character::{Faulty, Honest, Lazy, Liar, SealBreaker, Slow, Vanishing};
    let characters =
        [Honest, Honest, Honest, Honest, Slow, Lazy, Liar, Liar, Vanishing, Faulty, SealBreaker, Honest, Honest];
    characters
        .into_iter()
        .zip(1u8..)
        .map(|(character, n)| Peer {
            character,
            key: key(n),
            account: n,
            conn: None,
            slots: u16::try_from(dice.between(1, 6)).unwrap(),
            classes: adapters.classes(n),
            running: BTreeMap::new(),
            kept: BTreeMap::new(),
            told: BTreeMap::new(),
        })
        .collect()
}

fn clients(dice: &mut Dice) -> Vec<Client> {
    // Habits: cancels, leaves, closes. The last one runs out of money.
    let kinds = [([0, 0, 0], 50_000_000), ([30, 2, 2], 50_000_000), ([5, 15, 5], 50_000_000), ([0, 0, 3], 60_000)];
    kinds
        .into_iter()
        .zip(CLIENTS..)
        .map(|((habits, budget), account)| Client {
            account,
            conn: None,
            session_number: dice.below(1_000),
            session: None,
            budget,
            next_task: 0,
            tasks: BTreeMap::new(),
            habits,
            counts: Counts::default(),
        })
        .collect()
}

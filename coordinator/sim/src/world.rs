//! One run: the real market, peers that answer after a while, clients that ask at a steady rate, and the observer.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use p2c2r_core::record::{LedgerAccount, Record, SettlementRecord, TransferKind};
use p2c2r_core::{
    Admin, Commit, ConnId, DispatchConfig, Input, Limits, Market, MarketConfig, Millis, Network, Output, TrustConfig,
};
use p2c2r_protocol::Credits;
use p2c2r_protocol::message::{
    ClientToServer, Mode, OfferedClass, Path, PeerToServer, ServerToClient, ServerToPeer, Standing, Verdict,
};
use p2c2r_signing::{
    AccountId, AttemptNonce, Ballot, ClassId, Digest, Manifest, ModuleId, Outcome, PublicKey, SecretKey, SessionId,
    TaskId, TicketKey, TraceRoot, input_digest,
};

use crate::attack::{Act, Attack, Mind};
use crate::dice::Dice;
use crate::report::{PRICE, Report, Tallies, WORK_COST};
use crate::speeds::Speeds;

/// Units of every task; [`PRICE`] is their price.
pub(crate) const UNITS: u64 = 10;
const DEADLINE_MS: u32 = 100;
const MODULE: ModuleId = ModuleId::from_bytes([1; 32]);
const CLASS: ClassId = ClassId::from_bytes([2; 32]);

/// How long a ring that stalls sits on a task: some milliseconds less than its deadline.
const STALL_MS: u64 = 92;

/// How long a kernel at fault stays refused.
const MENDED_AFTER_MS: u64 = 30_000;

/// What is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Settings {
    /// How tasks are verified.
    pub rule: Rule,
    /// Peers, attackers among them. Each has an owner of its own.
    pub peers: usize,
    /// What the attackers do.
    pub attack: Attack,
    /// How many of a thousand peers attack.
    pub attackers_permille: u32,
    /// Tasks in the mean for each peer; each asks for one a second.
    pub tasks_per_peer: u64,
    /// How long peers take.
    pub speeds: Speeds,
    /// Work of a task in percent of the usual one.
    pub work_percent: u64,
    /// Whether slow attempts are hedged.
    pub hedging: bool,
    /// Departures in a million peer-hours; one that left comes back after a minute. 11,000 was measured for consumer GPUs.
    pub churn_per_million_hours: u64,
    /// Everything random follows from it.
    pub seed: u64,
}

impl Settings {
    /// Peers that attack: nobody does where the kernel is at fault.
    pub(crate) fn attackers(&self) -> usize {
        match self.attack {
            Attack::None | Attack::FaultyKernel => 0,
            _ => self.peers * self.attackers_permille as usize / 1_000,
        }
    }

    /// What a peer does.
    pub(crate) fn attack_of(&self, peer: usize) -> Attack {
        let everybody = self.attack == Attack::FaultyKernel;
        if everybody || peer < self.attackers() { self.attack } else { Attack::None }
    }
}

/// How tasks are verified by the market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The market as shipped: one replica, audits by trust.
    Trust,
    /// Every task twice, a third where they differ.
    TwoOfTwo,
}

enum Event {
    Done(usize, AttemptNonce),
    Leaves,
    Returns(usize),
}

struct Peer {
    key: PublicKey,
    conn: Option<ConnId>,
    /// Of the key it has now; a Sybil had others.
    account: AccountId,
    mind: Mind,
    jobs: BTreeMap<AttemptNonce, Job>,
    /// Percent of the usual time it takes.
    pace: u64,
    /// Executions it did the work for.
    worked: u64,
    /// Owners' accounts it gave up, with their money.
    former: Vec<AccountId>,
}

struct Job {
    ticket: Vec<u8>,
    ballot: Ballot,
    seed: u64,
    given: u64,
}

/// A client's task, as the observer sees it.
type Task = (SessionId, u64);

pub(crate) struct World {
    settings: Settings,
    dice: Dice,
    pub(crate) now: u64,
    events: BTreeMap<(u64, u64), Event>,
    next: u64,
    pub(crate) market: Market,
    peers: Vec<Peer>,
    by_conn: BTreeMap<ConnId, usize>,
    attackers: usize,
    /// Tasks after which a peer counts itself trusted: it cannot see its posterior, but it knows the rule. None with two replicas,
    /// where there is no trust to wait for.
    trusted_after: u64,
    clients: BTreeMap<ConnId, SessionId>,
    /// The clients' connections, to take turns.
    turns: Vec<ConnId>,
    submitted: u64,
    /// Every client's tasks from this number on count as answered in time, or not.
    counted_from: u64,
    /// Whether the answer delivered is wrong, until the task is settled.
    delivered: BTreeMap<Task, bool>,
    /// When tasks of a split frame were answered; nothing is noted while it is `None`.
    pub(crate) answered_at: Option<Vec<u64>>,
    /// Wrong answers that were confirmed on one execution and not withdrawn since.
    wrong_on_window: BTreeSet<Task>,
    /// When the kernel was found to be at fault, and whether its publisher mended it since.
    suspected_at: Option<u64>,
    mended: bool,
    /// Ring members that have a task.
    shared: BTreeMap<TaskId, u32>,
    tallies: Tallies,
}

/// Simulates a network; the same settings give the same report.
#[must_use]
pub fn run(settings: &Settings) -> Report {
    let mut world = World::founded(settings);
    let tasks = settings.peers as u64 * settings.tasks_per_peer;
    let started = world.now;
    let mut half = None;
    while world.submitted < tasks {
        // One task a second and peer, evenly.
        let due = (world.now + 1 - started) * settings.peers as u64 / 1_000;
        while world.submitted < due.min(tasks) {
            world.submit(UNITS, DEADLINE_MS);
        }
        if half.is_none() && world.submitted * 2 >= tasks {
            half = Some(world.market.stats());
            world.counted_from = world.submitted.div_ceil(world.turns.len().max(1) as u64);
            (world.tallies.answered, world.tallies.submitted) = (0, 0);
        }
        world.pass(1);
        world.mend();
    }
    world.pass(15_000);
    world.report(half.unwrap_or_default())
}

fn config(settings: &Settings) -> MarketConfig {
    // As many tasks at once as any number of peers brings.
    let limits = Limits { tasks: 1 << 22, input_bytes: 1 << 32, pending: 1 << 20, ..Limits::default() };
    let mut dispatch = DispatchConfig::default();
    if !settings.hedging {
        dispatch.hedge_percent = 0;
    }
    let base = MarketConfig { limits, dispatch, ..MarketConfig::default() };
    match settings.rule {
        Rule::Trust => base,
        Rule::TwoOfTwo => MarketConfig { trust: TrustConfig::OFF, ..base },
    }
}

fn client_account(n: u64) -> AccountId {
    let mut bytes = [1; 16];
    bytes[..8].copy_from_slice(&n.to_le_bytes());
    AccountId::from_bytes(bytes)
}

fn manifest() -> Option<Manifest> {
    let json = br#"{"name": "sim", "version": "1.0.0", "abi": 1, "publisher": "Sim", "unit": "task",
        "limits": {"units": 1000, "input_bytes": 64, "output_bytes": 64}}"#;
    Manifest::from_json(json).ok()
}

impl World {
    pub(crate) fn founded(settings: &Settings) -> Self {
        let mut world = Self::new(*settings);
        world.found();
        world
    }

    fn new(settings: Settings) -> Self {
        let mut dice = Dice::new(settings.seed);
        let config = config(&settings);
        let trusted_after = config.trust.tasks_to_floor();
        let market = Market::new(config, dice.bytes(), TicketKey::from_bytes(&dice.bytes()));
        Self {
            settings,
            dice,
            now: 1_000,
            events: BTreeMap::new(),
            next: 0,
            market,
            peers: Vec::new(),
            by_conn: BTreeMap::new(),
            attackers: settings.attackers(),
            trusted_after,
            clients: BTreeMap::new(),
            turns: Vec::new(),
            submitted: 0,
            counted_from: 0,
            delivered: BTreeMap::new(),
            answered_at: None,
            wrong_on_window: BTreeSet::new(),
            suspected_at: None,
            mended: false,
            shared: BTreeMap::new(),
            tallies: Tallies::default(),
        }
    }

    /// Accounts, money, kernel, clients and peers.
    fn found(&mut self) {
        if let Some(manifest) = manifest() {
            let rate = Credits::from_nano_usd(PRICE / UNITS);
            self.admin(Admin::RegisterKernel { module: MODULE, manifest: Box::new(manifest), rate });
        }
        for n in 0..(self.settings.peers as u64 / 100 + 1) {
            let (account, conn) = (client_account(n), self.conn());
            self.turns.push(conn);
            // All of it fits a u64 for 100,000 clients.
            let amount = Credits::from_nano_usd(100_000_000_000_000);
            self.admin(Admin::OpenAccount { account });
            self.admin(Admin::Deposit { account, amount, reference: n.to_string() });
            self.input(Input::ClientConnected { conn, account });
            let message = ClientToServer::OpenSession { number: 0, budget: amount };
            self.input(Input::Client { conn, message, payload: Bytes::new() });
        }
        for id in 0..self.settings.peers {
            let attack = self.settings.attack_of(id);
            let (key, account) = self.identity();
            let (jobs, former) = (BTreeMap::new(), Vec::new());
            let (mind, pace) = (Mind::new(attack), self.settings.speeds.pace(&mut self.dice));
            self.peers.push(Peer { key, conn: None, account, mind, jobs, pace, worked: 0, former });
            self.connect(id);
        }
        self.leave_later();
    }

    fn conn(&mut self) -> ConnId {
        self.next += 1;
        ConnId(self.next)
    }

    fn identity(&mut self) -> (PublicKey, AccountId) {
        let key = SecretKey::from_seed(&self.dice.bytes()).public();
        let account = key.account();
        self.admin(Admin::OpenAccount { account });
        (key, account)
    }

    fn connect(&mut self, id: usize) {
        let conn = self.conn();
        self.by_conn.insert(conn, id);
        let network = Network::of(std::net::Ipv4Addr::from_bits((id as u32) << 8).into());
        let Some(peer) = self.peers.get_mut(id) else { return };
        peer.conn = Some(conn);
        let (account, key) = (peer.account, peer.key);
        self.input(Input::PeerConnected { conn, account, key, network });
        let classes = vec![OfferedClass { class: CLASS, path: Path::Cpu }];
        self.peer_says(id, PeerToServer::Offer { slots: 1, classes, speed: 1 }, Bytes::new());
    }

    fn disconnect(&mut self, id: usize) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        peer.jobs.clear();
        if let Some(conn) = peer.conn.take() {
            self.by_conn.remove(&conn);
            self.input(Input::Disconnected { conn });
        }
    }

    /// The next departure from the network.
    fn leave_later(&mut self) {
        let an_hour = self.settings.churn_per_million_hours * self.settings.peers as u64;
        if let Some(mean) = (3_600_000_u64 * 1_000_000).checked_div(an_hour) {
            let wait = self.dice.between(1, 2 * mean);
            self.after(wait, Event::Leaves);
        }
    }

    /// The next task, of the next client.
    pub(crate) fn submit(&mut self, max_units: u64, deadline_ms: u32) {
        let clients = self.turns.len().max(1) as u64;
        let (number, client) = (self.submitted / clients, self.submitted % clients);
        self.submitted += 1;
        let Some(&conn) = self.turns.get(usize::try_from(client).unwrap_or(0)) else { return };
        let replicas = match self.settings.rule {
            Rule::Trust => 1,
            Rule::TwoOfTwo => 2,
        };
        self.tallies.submitted += u64::from(number >= self.counted_from);
        let seed = self.submitted;
        let (blobs, priority, mode) = (Vec::new(), 0, Mode::Provisional);
        let module = MODULE;
        let message =
            ClientToServer::Submit { number, module, blobs, seed, deadline_ms, priority, mode, replicas, max_units };
        self.input(Input::Client { conn, message, payload: Bytes::copy_from_slice(&seed.to_le_bytes()) });
    }

    /// A while after a kernel was found to be at fault its operator allows it again; if it really was, it is mended.
    fn mend(&mut self) {
        if self.market.suspicion(MODULE).is_none() {
            return;
        }
        let at = *self.suspected_at.get_or_insert(self.now);
        if self.now >= at + MENDED_AFTER_MS {
            self.mended = true;
            self.admin(Admin::ClearKernel { module: MODULE });
        }
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, ms: u64) {
        let until = self.now + ms;
        loop {
            let event = self.events.first_key_value().map(|(&(at, _), _)| at);
            let due = self.market.next_deadline().map(|at| at.0.max(self.now));
            match [event, due].into_iter().flatten().min().filter(|at| *at <= until) {
                Some(at) if event == Some(at) => {
                    self.now = at;
                    if let Some((_, event)) = self.events.pop_first() {
                        self.happen(event);
                    }
                }
                Some(at) => {
                    self.now = at;
                    self.input(Input::Tick);
                }
                None => break,
            }
        }
        self.now = until;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Done(id, nonce) => self.done(id, nonce),
            Event::Leaves => {
                let id = usize::try_from(self.dice.below(self.peers.len() as u64)).unwrap_or(0);
                self.disconnect(id);
                self.after(60_000, Event::Returns(id));
                self.leave_later();
            }
            Event::Returns(id) => {
                if self.peers.get(id).is_some_and(|peer| peer.conn.is_none()) {
                    self.connect(id);
                }
            }
        }
    }

    fn after(&mut self, ms: u64, event: Event) {
        self.next += 1;
        self.events.insert((self.now + ms, self.next), event);
    }

    fn admin(&mut self, command: Admin) {
        self.input(Input::Admin { request: 0, command });
    }

    fn peer_says(&mut self, id: usize, message: PeerToServer, payload: Bytes) {
        if let Some(conn) = self.peers.get(id).and_then(|peer| peer.conn) {
            self.input(Input::Peer { conn, message, payload });
        }
    }

    fn input(&mut self, input: Input) {
        self.market.handle(Millis(self.now), input);
        while let Some(output) = self.market.poll_output() {
            match output {
                Output::ToClient { conn, message, payload } => self.client_hears(conn, message, &payload),
                Output::ToPeer { conn, message, payload } => {
                    if let Some(&id) = self.by_conn.get(&conn) {
                        self.peer_hears(id, message, &payload);
                    }
                }
                Output::Close { conn, .. } => {
                    if let Some(id) = self.by_conn.remove(&conn)
                        && let Some(peer) = self.peers.get_mut(id)
                    {
                        peer.conn = None;
                        self.after(1_000, Event::Returns(id));
                    }
                }
                Output::Commit(commit) => {
                    self.observe(&commit);
                    self.market.handle(Millis(self.now), Input::Committed { commit: commit.id });
                }
                Output::AdminDone { .. } => {}
            }
        }
    }

    fn client_hears(&mut self, conn: ConnId, message: ServerToClient, payload: &Bytes) {
        match message {
            ServerToClient::SessionOpened { session, .. } => {
                self.clients.insert(conn, session);
            }
            ServerToClient::TaskResult { number, .. } => {
                let Some(&session) = self.clients.get(&conn) else { return };
                let wrong = payload.first() != Some(&RIGHT);
                self.tallies.answered += u64::from(number >= self.counted_from);
                if let Some(at) = &mut self.answered_at {
                    at.push(self.now);
                }
                self.tallies.wrong_provisional += u64::from(wrong);
                self.delivered.insert((session, number), wrong);
            }
            ServerToClient::TaskVerdict { number, verdict } => {
                let Some(&session) = self.clients.get(&conn) else { return };
                let task = (session, number);
                match verdict {
                    Verdict::Confirmed { .. } => {}
                    Verdict::Revoked { .. } => {
                        self.delivered.insert(task, payload.first() != Some(&RIGHT));
                    }
                    Verdict::Unverified { .. } => {
                        self.delivered.remove(&task);
                    }
                }
            }
            ServerToClient::TaskWithdrawn { number, right, .. } => {
                let Some(&session) = self.clients.get(&conn) else { return };
                // What replaces it may be as wrong.
                if right.is_none() || payload.first() == Some(&RIGHT) {
                    self.wrong_on_window.remove(&(session, number));
                }
            }
            ServerToClient::TaskRefused { .. } => self.tallies.refused += 1,
            _ => {}
        }
    }

    fn peer_hears(&mut self, id: usize, message: ServerToPeer, payload: &Bytes) {
        match message {
            ServerToPeer::Assign { ticket, task, nonce, module, class, blobs, seed, max_units, .. } => {
                let ballot = Ballot {
                    task,
                    module,
                    class,
                    input: input_digest(payload, &blobs, seed),
                    outcome: Outcome::Output,
                    output: Digest::of(&[]),
                    units: max_units,
                    trace_root: TraceRoot::from_bytes([0; 32]),
                };
                let Some(peer) = self.peers.get_mut(id) else { return };
                peer.jobs.insert(nonce, Job { ticket, ballot, seed, given: self.now });
                let takes = match peer.mind.attack {
                    Attack::SlowLoris => Some(u64::from(DEADLINE_MS) - 1),
                    _ => self.settings.speeds.takes(
                        peer.pace,
                        (max_units * self.settings.work_percent, UNITS * 100),
                        &mut self.dice,
                    ),
                };
                if peer.mind.attack.is_ring() {
                    *self.shared.entry(task).or_insert(0) += 1;
                }
                if let Some(takes) = takes {
                    self.after(takes, Event::Done(id, nonce));
                }
            }
            ServerToPeer::Cancel { nonce } => {
                if let Some(peer) = self.peers.get_mut(id) {
                    peer.jobs.remove(&nonce);
                }
            }
            ServerToPeer::Settled { batch, entries, .. } => {
                if let Some(conn) = self.peers.get(id).and_then(|peer| peer.conn) {
                    let message = PeerToServer::SettledAck { batch };
                    self.market.handle(Millis(self.now), Input::Peer { conn, message, payload: Bytes::new() });
                }
                if entries.iter().any(|entry| entry.standing == Standing::Outvoted) {
                    self.caught(id);
                }
            }
            _ => {}
        }
    }

    fn caught(&mut self, id: usize) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        peer.mind.caught();
        if peer.mind.attack == Attack::Sybil {
            let conn = peer.conn.take();
            peer.jobs.clear();
            peer.former.push(peer.account);
            let key = SecretKey::from_seed(&self.dice.bytes()).public();
            (peer.key, peer.account) = (key, key.account());
            let account = peer.account;
            if let Some(conn) = conn {
                self.by_conn.remove(&conn);
                self.market.handle(Millis(self.now), Input::Disconnected { conn });
            }
            self.market.handle(Millis(self.now), Input::Admin { request: 0, command: Admin::OpenAccount { account } });
            // A new account takes a moment.
            self.after(1_000, Event::Returns(id));
        }
    }

    fn done(&mut self, id: usize, nonce: AttemptNonce) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        let Some(job) = peer.jobs.get(&nonce) else { return };
        let partner = self.shared.get(&job.ballot.task).is_some_and(|&members| members > 1);
        let left = (job.given + STALL_MS).saturating_sub(self.now);
        if peer.mind.attack == Attack::StallingRing && !partner && left > 0 {
            self.after(left, Event::Done(id, nonce));
            return;
        }
        let Some(job) = peer.jobs.remove(&nonce) else { return };
        let act = match peer.mind.act(self.trusted_after, partner, &mut self.dice) {
            Act::Differs if self.mended => Act::Right,
            act => act,
        };
        peer.worked += u64::from(act.works());
        let output = match act {
            Act::Right | Act::RightLate => output(RIGHT, job.seed),
            Act::WrongTogether => output(WRONG, job.seed),
            Act::WrongAlone | Act::Differs => output(WRONG, self.dice.below(u64::MAX)),
            Act::Nothing => return,
        };
        let trace_root = TraceRoot::from_bytes(*blake3::hash(&output).as_bytes());
        let ballot = Ballot { output: Digest::of(&output), trace_root, ..job.ballot };
        let units = ballot.units;
        let seal = ballot.vote().seal(&peer.key, &nonce);
        let message = PeerToServer::Result { ticket: job.ticket, outcome: Outcome::Output, units, trace_root, seal };
        self.peer_says(id, message, output);
    }

    /// What the store is told tells the observer what answers rest on, and who lost money.
    fn observe(&mut self, commit: &Commit) {
        for record in &commit.records {
            match record {
                Record::Settlement(settlement) => self.settled(settlement),
                Record::Transfer(transfer) => {
                    if let (TransferKind::Forfeit | TransferKind::Refund, LedgerAccount::Withheld(owner)) =
                        (transfer.kind, transfer.debit)
                    {
                        *self.tallies.forfeited.entry(owner).or_insert(0) += transfer.amount.nano_usd();
                    }
                    if let (TransferKind::Restore, LedgerAccount::Withheld(owner)) = (transfer.kind, transfer.credit)
                        && let Some(lost) = self.tallies.forfeited.get_mut(&owner)
                    {
                        *lost = lost.saturating_sub(transfer.amount.nano_usd());
                    }
                }
                _ => {}
            }
        }
    }

    fn settled(&mut self, settlement: &SettlementRecord) {
        let mut right: BTreeMap<Task, u32> = BTreeMap::new();
        for line in &settlement.executions_detail {
            self.shared.remove(&line.task);
            let agreed = right.entry((line.session, line.number)).or_insert(0);
            *agreed += u32::from(line.standing == Standing::Agreed);
        }
        for (task, agreed) in right {
            let Some(wrong) = self.delivered.remove(&task) else { continue };
            match agreed {
                0 => {}
                1 => {
                    self.tallies.on_window += 1;
                    if wrong {
                        self.tallies.wrong_confirmed_window += 1;
                        self.wrong_on_window.insert(task);
                    }
                }
                _ => {
                    self.tallies.on_quorum += 1;
                    self.tallies.wrong_on_quorum += u64::from(wrong);
                }
            }
        }
    }

    fn report(mut self, half: p2c2r_core::Stats) -> Report {
        let stats = self.market.stats();
        self.tallies.wrong_never_withdrawn = self.wrong_on_window.len() as u64;
        self.tallies.withdrawn = stats.tasks_withdrawn;
        let suspended: BTreeSet<_> = self.market.peers().filter(|p| p.suspended).map(|p| p.record.key).collect();
        let ledger = self.market.ledger();
        for (id, peer) in self.peers.iter().enumerate() {
            let accounts = || peer.former.iter().chain([&peer.account]);
            let money = |a: &AccountId| {
                let available = self.market.balance(*a).map_or(0, Credits::nano_usd);
                i128::from(available) + i128::from(ledger.withheld(*a).nano_usd())
            };
            let margin = accounts().map(money).sum::<i128>() - i128::from(peer.worked * WORK_COST);
            let lost = margin < 0
                || accounts().any(|a| self.tallies.forfeited.get(a).is_some_and(|&lost| lost > 0))
                || suspended.contains(&peer.key);
            self.tallies.peer(id < self.attackers, margin, lost);
        }
        let (attempts, tasks) = (stats.attempts - half.attempts, stats.tasks_confirmed - half.tasks_confirmed);
        let rule = match self.settings.rule {
            Rule::Trust => "P2C2R",
            Rule::TwoOfTwo => "2-of-2",
        };
        let report = Report::new(
            rule,
            self.settings.attack,
            self.attackers,
            self.settings.peers,
            &self.tallies,
            attempts,
            tasks,
        );
        Report { kernel_at_fault: self.suspected_at.is_some(), ..report }
    }
}

/// First byte of a right and of a wrong output.
const RIGHT: u8 = 1;
const WRONG: u8 = 0;

fn output(kind: u8, of: u64) -> Bytes {
    let mut bytes = [kind; 9];
    bytes[1..].copy_from_slice(&of.to_le_bytes());
    Bytes::copy_from_slice(&bytes)
}

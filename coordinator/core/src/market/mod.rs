//! The market itself: who owns what, and how an input finds its way.

mod account;
mod admission;
mod attempt;
mod commit;
mod diagnosis;
mod dispatch;
mod golden;
mod hedge;
mod learn;
mod referee;
mod rerun;
mod result;
mod session;
mod settle;
mod submit;
mod timer;
mod trust;
mod verdict;
mod view;
mod withdrawal;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use p2c2r_protocol::message::{ClientToServer, PeerToServer, Refusal, ServerToClient, ServerToPeer};
use p2c2r_signing::{AccountId, BlobId, Digest, ModuleId, SessionId, TicketKey};

pub use view::{PeerView, SessionView};

use crate::archive::Archive;
use crate::config::MarketConfig;
use crate::diagnosis::{Doubt, Penalties};
use crate::dice::Dice;
use crate::io::{ConnId, Input, Millis, Output};
use crate::ledger::Ledger;
use crate::peers::Peers;
use crate::predict::Works;
use crate::queue::{Queue, Reissues};
use crate::record::{KernelRecord, Snapshot, SuspicionRecord};
use crate::session::Sessions;
use crate::stats::Stats;
use crate::task::{Answer, Tasks};
use crate::withheld::Withheld;
use commit::Commits;
use golden::Goldens;
use timer::Timer;
use withdrawal::Rechecks;

/// The market. See the [crate] for what goes in and what comes out.
pub struct Market {
    config: MarketConfig,
    key: TicketKey,
    dice: Dice,
    /// The latest time heard of.
    now: Millis,
    conns: BTreeMap<ConnId, Conn>,
    kernels: BTreeMap<ModuleId, KernelRecord>,
    blobs: BTreeSet<BlobId>,
    ledger: Ledger,
    sessions: Sessions,
    peers: Peers,
    withheld: Withheld,
    archive: Archive,
    rechecks: Rechecks,
    goldens: Goldens,
    doubts: BTreeMap<ModuleId, Doubt>,
    penalties: Penalties,
    suspects: BTreeMap<ModuleId, SuspicionRecord>,
    tasks: Tasks,
    works: Works,
    hedges: hedge::Budget,
    queue: Queue,
    reissues: Reissues,
    /// Tasks with a verdict or without hope of one, in the order that was found.
    decided: VecDeque<usize>,
    /// When the next batch is cut, if one is due.
    settle_at: Option<Millis>,
    /// The last batch that is durable, with its root.
    last_durable: (u64, Digest),
    timers: BTreeSet<(Millis, Timer)>,
    commits: Commits,
    draining: bool,
    out: VecDeque<Output>,
    stats: Stats,
}

/// What a connection is.
#[derive(Debug, Clone, Copy)]
enum Conn {
    Client {
        account: AccountId,
        session: Option<SessionId>,
    },
    /// A peer by its number, good while it is connected.
    Peer(usize),
}

/// A refusal on its way to whom it concerns.
type Refused = (Refusal, String);

impl Market {
    /// A market over an empty store. `seed` must be secret and new at every start.
    #[must_use]
    pub fn new(config: MarketConfig, seed: [u8; 32], key: TicketKey) -> Self {
        Self::restore(config, seed, key, Snapshot::default(), Millis(0))
    }

    /// A market over what a store kept. `key` must be the same as before, `seed` secret and new.
    #[must_use]
    pub fn restore(config: MarketConfig, seed: [u8; 32], key: TicketKey, snapshot: Snapshot, now: Millis) -> Self {
        let mut market = Self {
            dice: Dice::new(seed),
            now,
            conns: BTreeMap::new(),
            ledger: Ledger::restore(&snapshot),
            sessions: Sessions::restore(&snapshot, now, config.recovery_ms, config.hold_grace_ms),
            peers: Peers::restore(&snapshot, &config),
            withheld: Withheld::restore(&snapshot, config.trust.held_tasks),
            archive: Archive::default(),
            rechecks: Rechecks::default(),
            goldens: Goldens::default(),
            doubts: BTreeMap::new(),
            penalties: Penalties::default(),
            suspects: snapshot.suspicions.iter().map(|s| (s.module, *s)).collect(),
            commits: Commits::after(snapshot.last_commit),
            last_durable: snapshot.recent.last().map_or((0, Digest::from_bytes([0; 32])), |s| (s.batch, s.root)),
            kernels: snapshot.kernels.into_iter().map(|k| (k.module, k)).collect(),
            blobs: BTreeSet::new(),
            tasks: Tasks::default(),
            works: Works::default(),
            hedges: hedge::Budget::default(),
            queue: Queue::default(),
            reissues: Reissues::default(),
            decided: VecDeque::new(),
            settle_at: None,
            timers: BTreeSet::new(),
            draining: false,
            out: VecDeque::new(),
            stats: Stats::default(),
            config,
            key,
        };
        let ends: Vec<_> = market.sessions.iter().filter_map(|s| Some((s.expires?, Timer::Session(s.id)))).collect();
        market.timers.extend(ends);
        market
    }

    /// Takes in one event. Then drain [`Self::poll_output`]. `now` before the latest time heard of counts as that.
    pub fn handle(&mut self, now: Millis, input: Input) {
        self.now = self.now.max(now);
        // First what time alone decides, so that nothing below sees a task that is over.
        self.fire_timers();
        match input {
            Input::ClientConnected { conn, account } => self.client_connected(conn, account),
            Input::PeerConnected { conn, account, key, network } => self.peer_connected(conn, account, key, network),
            Input::Disconnected { conn } => self.disconnected(conn),
            Input::Client { conn, message, payload } => self.client_message(conn, message, payload),
            Input::Peer { conn, message, payload } => self.peer_message(conn, message, payload),
            Input::BlobStored { blob } => {
                if self.blobs.len() < self.config.limits.blobs {
                    self.blobs.insert(blob);
                }
            }
            Input::Admin { request, command } => self.admin(request, command),
            Input::Committed { commit } => self.committed(commit),
            Input::StoreHealth { ok } => self.commits.healthy = ok,
            Input::Drain => self.drain(),
            Input::Tick => {}
        }
    }

    /// The next thing to do, in order; `None` when all is said until the next input.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to come back with [`Input::Tick`] if nothing else happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Millis> {
        let timer = self.timers.first().map(|&(at, _)| at);
        [timer, self.settle_at].into_iter().flatten().min()
    }

    fn client_message(&mut self, conn: ConnId, message: ClientToServer, payload: Bytes) {
        let Some(&Conn::Client { account, session }) = self.conns.get(&conn) else { return };
        match message {
            ClientToServer::OpenSession { number, budget } => self.open_session(conn, account, number, budget),
            ClientToServer::CloseSession => self.close_session(conn, session),
            ClientToServer::QueryKernel { module } => self.query_kernel(conn, module),
            ClientToServer::Submit {
                number,
                module,
                blobs,
                seed,
                deadline_ms,
                priority,
                mode,
                replicas,
                max_units,
            } => {
                let submission = submit::Submission {
                    number,
                    module,
                    blobs,
                    seed,
                    deadline_ms,
                    priority,
                    mode,
                    replicas,
                    max_units,
                    input: payload,
                };
                self.submit(conn, session, submission);
            }
            ClientToServer::Cancel { number } => self.cancel(session, number),
            ClientToServer::QueryVerdict { number } => self.query_verdict(session, number),
            ClientToServer::PutBlob { .. } | ClientToServer::Fetch(_) => {
                self.close(conn, Refusal::Protocol, "blobs and fetches are not the market's".to_owned());
            }
        }
    }

    fn peer_message(&mut self, conn: ConnId, message: PeerToServer, payload: Bytes) {
        let Some(&Conn::Peer(peer)) = self.conns.get(&conn) else { return };
        match message {
            PeerToServer::Offer { slots, classes, speed: _ } => self.offer(conn, peer, slots, &classes),
            PeerToServer::Result { ticket, outcome, units, trace_root, seal } => {
                let output_digest = Digest::of(&payload);
                let answer = Answer { outcome, units, trace_root, seal, output: payload, output_digest };
                self.result(conn, peer, &ticket, answer);
            }
            PeerToServer::Fault { ticket, fault: _ } => self.peer_fault(conn, peer, &ticket),
            PeerToServer::SettledAck { batch } => {
                if let Some(peer) = self.peers.get_mut(peer) {
                    peer.unacked.ack(batch);
                }
            }
            PeerToServer::QueryEarnings => self.earnings(conn, peer),
            PeerToServer::Fetch(_) => {
                self.close(conn, Refusal::Protocol, "fetches are not the market's".to_owned());
            }
        }
    }

    fn disconnected(&mut self, conn: ConnId) {
        match self.conns.remove(&conn) {
            Some(Conn::Client { session: Some(session), .. }) => self.detach(session),
            Some(Conn::Peer(peer)) => self.peer_gone(peer),
            Some(Conn::Client { session: None, .. }) | None => {}
        }
    }

    /// Ends a connection from this side. What the shell says of it afterwards is ignored.
    fn close(&mut self, conn: ConnId, code: Refusal, message: String) {
        self.out.push_back(Output::Close { conn, code, message });
        self.disconnected(conn);
    }

    fn drain(&mut self) {
        if std::mem::replace(&mut self.draining, true) {
            return;
        }
        for (&conn, kind) in &self.conns {
            self.out.push_back(match kind {
                Conn::Client { .. } => {
                    Output::ToClient { conn, message: ServerToClient::Draining, payload: Bytes::new() }
                }
                Conn::Peer(_) => Output::ToPeer { conn, message: ServerToPeer::Draining, payload: Bytes::new() },
            });
        }
        for task in self.queue.tasks() {
            self.refuse_queued(task, Refusal::Unavailable, "the coordinator drains");
        }
    }

    /// Why no new money can be taken on now, if so.
    fn closed_for_new(&self) -> Option<Refused> {
        let limit = self.config.limits.commits_in_flight;
        let why = if self.draining {
            "the coordinator drains".to_owned()
        } else if !self.commits.healthy {
            "the coordinator cannot reach its store".to_owned()
        } else if self.commits.in_flight() >= limit {
            format!("{} commits wait for the store, at most {limit} may", self.commits.in_flight())
        } else {
            return None;
        };
        Some((Refusal::Unavailable, why))
    }

    fn tell_client(&mut self, conn: ConnId, message: ServerToClient) {
        self.out.push_back(Output::ToClient { conn, message, payload: Bytes::new() });
    }

    fn tell_peer(&mut self, conn: ConnId, message: ServerToPeer) {
        self.out.push_back(Output::ToPeer { conn, message, payload: Bytes::new() });
    }

    /// To the session's client, or to its outbox while it is away.
    fn tell_session(&mut self, session: SessionId, message: ServerToClient, payload: Bytes) {
        let Some(session) = self.sessions.get_mut(session) else { return };
        match session.conn {
            Some(conn) => self.out.push_back(Output::ToClient { conn, message, payload }),
            None => {
                let limits = &self.config.limits;
                session.outbox.push(message, payload, limits.outbox_messages, limits.outbox_bytes);
            }
        }
    }
}

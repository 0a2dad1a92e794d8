//! The connections as the market's task sees them: whom to send to, and what is being measured on each.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use p2c2r_core::ConnId;
use p2c2r_protocol::message::{ClientToServer, PeerToServer, Refusal, ServerToClient, ServerToPeer};
use p2c2r_signing::PublicKey;
use p2c2r_transport::{SendError, Sender};
use tokio_util::sync::CancellationToken;

use super::close_code;
use super::event::Arrival;
use crate::limits;
use crate::metrics::Metrics;

pub(crate) struct Links {
    clients: HashMap<ConnId, Client>,
    peers: HashMap<ConnId, Peer>,
    metrics: Arc<Metrics>,
}

struct Client {
    sender: Sender<ServerToClient>,
    stop: CancellationToken,
    /// When the tasks were submitted that have no answer yet.
    submitted: HashMap<u64, Instant>,
}

struct Peer {
    key: PublicKey,
    sender: Sender<ServerToPeer>,
    stop: CancellationToken,
    ready: bool,
}

impl Links {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { clients: HashMap::new(), peers: HashMap::new(), metrics }
    }

    pub(super) fn add(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Client { conn, account: _, sender, stop } => {
                self.clients.insert(conn, Client { sender, stop, submitted: HashMap::new() });
            }
            Arrival::Peer { conn, account: _, key, network: _, sender, stop } => {
                self.peers.insert(conn, Peer { key, sender, stop, ready: false });
            }
        }
    }

    /// False if it was not there any more.
    pub(super) fn remove(&mut self, conn: ConnId) -> bool {
        let client = self.clients.remove(&conn).map(|client| client.stop);
        let stop = client.or_else(|| self.peers.remove(&conn).map(|peer| peer.stop));
        if let Some(stop) = &stop {
            stop.cancel();
        }
        stop.is_some()
    }

    /// Keys of the peers that are connected and offer work.
    pub(crate) fn ready_peers(&self) -> BTreeSet<PublicKey> {
        self.peers.values().filter(|peer| peer.ready).map(|peer| peer.key).collect()
    }

    pub(super) fn note_offer(&mut self, conn: ConnId, message: &PeerToServer) {
        if let PeerToServer::Offer { slots, .. } = message
            && let Some(peer) = self.peers.get_mut(&conn)
        {
            peer.ready = *slots > 0;
        }
    }

    pub(super) fn note_submit(&mut self, conn: ConnId, message: &ClientToServer) {
        if let ClientToServer::Submit { number, .. } = message
            && let Some(client) = self.clients.get_mut(&conn)
            && client.submitted.len() < limits::MEASURED_TASKS
        {
            client.submitted.entry(*number).or_insert_with(Instant::now);
        }
    }

    /// False if the connection had to be given up.
    pub(super) fn send_client(&mut self, conn: ConnId, message: &ServerToClient, payload: &[u8]) -> bool {
        let Some(client) = self.clients.get_mut(&conn) else { return true };
        match message {
            ServerToClient::TaskResult { number, .. } => {
                if let Some(submitted) = client.submitted.remove(number) {
                    self.metrics.task_latency.record(submitted.elapsed().as_secs_f64());
                }
            }
            ServerToClient::TaskRefused { number, .. } | ServerToClient::TaskVerdict { number, .. } => {
                client.submitted.remove(number);
            }
            _ => {}
        }
        let sent = client.sender.send(message, payload);
        self.settle(conn, sent)
    }

    /// False if the connection had to be given up.
    pub(super) fn send_peer(&mut self, conn: ConnId, message: &ServerToPeer, payload: &[u8]) -> bool {
        let Some(peer) = self.peers.get(&conn) else { return true };
        let sent = peer.sender.send(message, payload);
        self.settle(conn, sent)
    }

    pub(super) fn close(&mut self, conn: ConnId, code: Refusal, message: &str) {
        tracing::info!(conn = conn.0, ?code, message, "connection closed");
        if let Some(client) = self.clients.get(&conn) {
            client.sender.close(close_code(code), message);
        }
        if let Some(peer) = self.peers.get(&conn) {
            peer.sender.close(close_code(code), message);
        }
        self.remove(conn);
    }

    /// Closes everything.
    pub(super) fn farewell(&mut self, message: &str) {
        let conns: Vec<_> = self.clients.keys().chain(self.peers.keys()).copied().collect();
        for conn in conns {
            self.close(conn, Refusal::Unavailable, message);
        }
    }

    fn settle(&mut self, conn: ConnId, sent: Result<(), SendError>) -> bool {
        match sent {
            // Its reader notices too and says so.
            Ok(()) | Err(SendError::Closed) => true,
            Err(error @ SendError::Full { .. }) => {
                self.metrics.slow_consumers.increment(1);
                self.close(conn, Refusal::Limit, &format!("too slow: {error}"));
                false
            }
            Err(SendError::Frame(error)) => {
                tracing::error!(%error, conn = conn.0, "message of our own is over a limit of the wire");
                self.close(conn, Refusal::Other, "the coordinator has a bug; it is logged");
                false
            }
        }
    }
}

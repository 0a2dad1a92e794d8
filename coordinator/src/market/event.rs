//! What can happen to the market's task, and the handle everybody else has on it.

use std::sync::Arc;

use bytes::Bytes;
use p2c2r_core::{Admin, ConnId, Input, Market, Network};
use p2c2r_protocol::message::{ClientToServer, PeerToServer, ServerToClient, ServerToPeer};
use p2c2r_signing::{AccountId, BlobId, PublicKey};
use p2c2r_transport::Sender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::links::Links;
use crate::limits;

/// Room among the payloads waiting for the market; given back when the event is handled.
pub(crate) type Room = Option<OwnedSemaphorePermit>;

type View = Box<dyn FnOnce(&Market, &Links) + Send>;

/// Something happened.
pub(crate) enum Event {
    /// A client spoke.
    Client { conn: ConnId, message: ClientToServer, payload: Bytes, room: Room },
    /// A peer spoke.
    Peer { conn: ConnId, message: PeerToServer, payload: Bytes, room: Room },
    /// Somebody authenticated.
    Arrived(Arrival),
    /// A connection ended.
    Gone(ConnId),
    /// A blob is on disk.
    BlobStored { blob: BlobId },
    /// An operator's command.
    Admin { command: Admin, reply: oneshot::Sender<Result<(), String>> },
    /// Somebody wants to look.
    View(View),
}

/// A connection that authenticated, and how to reach and to end it.
pub(crate) enum Arrival {
    Client {
        conn: ConnId,
        account: AccountId,
        sender: Sender<ServerToClient>,
        stop: CancellationToken,
    },
    Peer {
        conn: ConnId,
        account: AccountId,
        key: PublicKey,
        network: Network,
        sender: Sender<ServerToPeer>,
        stop: CancellationToken,
    },
}

impl Arrival {
    pub(crate) const fn input(&self) -> Input {
        match self {
            Self::Client { conn, account, .. } => Input::ClientConnected { conn: *conn, account: *account },
            Self::Peer { conn, account, key, network, .. } => {
                Input::PeerConnected { conn: *conn, account: *account, key: *key, network: *network }
            }
        }
    }
}

/// The market's task is gone: the coordinator ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the coordinator is shutting down")]
pub(crate) struct Gone;

/// How everybody else reaches the market's task. Cheap to clone.
#[derive(Clone)]
pub(crate) struct MarketHandle {
    events: mpsc::Sender<Event>,
    room: Arc<Semaphore>,
}

impl MarketHandle {
    /// A handle and the other end of it.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Event>) {
        let (events, waiting) = mpsc::channel(limits::EVENTS);
        (Self { events, room: Arc::new(Semaphore::new(limits::EVENT_BYTES)) }, waiting)
    }

    /// Waits while the market has too much to do; that is what slows a fast sender down.
    pub(crate) async fn send(&self, event: Event) -> Result<(), Gone> {
        self.events.send(event).await.map_err(|_closed| Gone)
    }

    /// Room for a payload on its way to the market.
    pub(crate) async fn room(&self, payload: &Bytes) -> Result<Room, Gone> {
        match u32::try_from(payload.len()).unwrap_or(u32::MAX) {
            0 => Ok(None),
            bytes => Arc::clone(&self.room).acquire_many_owned(bytes).await.map(Some).map_err(|_closed| Gone),
        }
    }

    /// Whether `account` is open.
    pub(crate) async fn knows(&self, account: AccountId) -> Result<bool, Gone> {
        self.view(move |market, _links| market.balance(account).is_some()).await
    }

    /// Runs an operator's command; the inner error is the market's.
    pub(crate) async fn admin(&self, command: Admin) -> Result<Result<(), String>, Gone> {
        let (reply, answer) = oneshot::channel();
        self.send(Event::Admin { command, reply }).await?;
        answer.await.map_err(|_closed| Gone)
    }

    /// Looks at the market and its connections.
    pub(crate) async fn view<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Market, &Links) -> T + Send + 'static,
    ) -> Result<T, Gone> {
        let (reply, answer) = oneshot::channel();
        let view: View = Box::new(move |market, links| {
            // Whoever asked may have given up waiting.
            let _ = reply.send(look(market, links));
        });
        self.send(Event::View(view)).await?;
        answer.await.map_err(|_closed| Gone)
    }
}

//! One authenticated connection: reads messages, sends the market's to the market and answers the rest itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use p2c2r_core::{Admin, ConnId, Network};
use p2c2r_protocol::message::{ClientToServer, Fetch, PeerToServer, Refusal, Role, ServerToClient, ServerToPeer};
use p2c2r_signing::{BlobId, PublicKey};
use p2c2r_transport::{Admitted, Decline, Receiver, RecvError, Sender, Visitor, Welcome};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::Accounts;
use crate::content::{self, Content, Piece, Uploads};
use crate::limits;
use crate::market::{Arrival, Event, Gone, MarketHandle, close_code};
use crate::metrics::Metrics;

/// What all connections share.
pub(crate) struct Reception {
    pub(crate) market: MarketHandle,
    pub(crate) content: Content,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) operator: PublicKey,
    pub(crate) server: [u8; 32],
    pub(crate) accounts: Accounts,
    pub(crate) idle: std::time::Duration,
    pub(crate) drain: CancellationToken,
    pub(crate) next_conn: AtomicU64,
}

impl Reception {
    /// Handshake and life of one connection from `network`, over a stream whose HTTP upgrade is done.
    pub(crate) async fn serve<S>(&self, io: S, network: Network)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let admitted = match p2c2r_transport::accept(io, &self.server, |visitor| self.decide(visitor)).await {
            Ok(admitted) => admitted,
            Err(error) => {
                self.metrics.handshakes_failed.increment(1);
                tracing::info!(%error, "handshake failed");
                return;
            }
        };
        let conn = ConnId(self.next_conn.fetch_add(1, Ordering::Relaxed));
        let Visitor { role, key, agent } = &admitted.visitor;
        tracing::info!(conn = conn.0, ?role, %key, agent, account = %admitted.welcome.account, "connected");
        // The market's task going away ends the process; nothing more to do for this connection.
        let _: Result<(), Gone> = match role {
            Role::Client => self.client(conn, admitted).await,
            Role::Peer => self.peer(conn, admitted, network).await,
        };
        tracing::info!(conn = conn.0, "disconnected");
    }

    /// Whether somebody who proved its key comes in.
    async fn decide(&self, visitor: Visitor) -> Result<Welcome, Decline> {
        let unavailable = |message: &str| Decline { code: Refusal::Unavailable, message: message.to_owned() };
        if self.drain.is_cancelled() {
            return Err(unavailable("the coordinator drains; reconnect later"));
        }
        let account = visitor.key.account();
        let gone = |Gone| unavailable("the coordinator drains; reconnect later");
        if !self.market.knows(account).await.map_err(gone)? {
            if self.accounts == Accounts::Known {
                let message = format!("account {account} of key {} is not open; ask the operator", visitor.key);
                return Err(Decline { code: Refusal::Forbidden, message });
            }
            let opened = self.market.admin(Admin::OpenAccount { account }).await.map_err(gone)?;
            opened.map_err(|problem| unavailable(&problem))?;
        }
        Ok(Welcome { account, operator: self.operator, idle: self.idle })
    }

    async fn client<S>(&self, conn: ConnId, admitted: Admitted<S>) -> Result<(), Gone>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let account = admitted.welcome.account;
        let (sender, mut receiver) = admitted.open::<ServerToClient, ClientToServer>();
        let stop = CancellationToken::new();
        let fetches = self.fetches(sender.clone(), ServerToClient::Chunk);
        let arrival = Arrival::Client { conn, account, sender: sender.clone(), stop: stop.clone() };
        self.market.send(Event::Arrived(arrival)).await?;
        let mut uploads = Some(Uploads::new(self.content.clone(), account));
        while let Some((message, payload)) = self.next(&mut receiver, &stop, &sender).await {
            match message {
                ClientToServer::PutBlob { blob, total_bytes, offset } => {
                    let piece = Piece { blob, total_bytes, offset, bytes: payload };
                    if let Some(answer) = take(&mut uploads, piece).await {
                        self.answer_blob(blob, answer, &sender).await?;
                    }
                }
                ClientToServer::Fetch(fetch) => {
                    if !queue(&fetches, fetch, &sender) {
                        break;
                    }
                }
                message => {
                    let room = self.market.room(&payload).await?;
                    self.market.send(Event::Client { conn, message, payload, room }).await?;
                }
            }
        }
        self.market.send(Event::Gone(conn)).await
    }

    async fn peer<S>(&self, conn: ConnId, admitted: Admitted<S>, network: Network) -> Result<(), Gone>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (account, key) = (admitted.welcome.account, admitted.visitor.key);
        let (sender, mut receiver) = admitted.open::<ServerToPeer, PeerToServer>();
        let stop = CancellationToken::new();
        let fetches = self.fetches(sender.clone(), ServerToPeer::Chunk);
        let arrival = Arrival::Peer { conn, account, key, network, sender: sender.clone(), stop: stop.clone() };
        self.market.send(Event::Arrived(arrival)).await?;
        while let Some((message, payload)) = self.next(&mut receiver, &stop, &sender).await {
            match message {
                PeerToServer::Fetch(fetch) => {
                    if !queue(&fetches, fetch, &sender) {
                        break;
                    }
                }
                message => {
                    let room = self.market.room(&payload).await?;
                    self.market.send(Event::Peer { conn, message, payload, room }).await?;
                }
            }
        }
        self.market.send(Event::Gone(conn)).await
    }

    /// The next message; `None` when the connection is over, for whatever reason.
    async fn next<In: p2c2r_protocol::Message, Out: p2c2r_protocol::Message>(
        &self,
        receiver: &mut Receiver<In>,
        stop: &CancellationToken,
        sender: &Sender<Out>,
    ) -> Option<(In, Bytes)> {
        let received = tokio::select! {
            received = receiver.next() => received,
            () = stop.cancelled() => return None,
        };
        let error = match received {
            Ok(message) => return Some(message),
            Err(error) => error,
        };
        let (code, message) = match &error {
            RecvError::Frame(bad) => (bad.refusal(), bad.to_string()),
            RecvError::TooLarge { .. } => (Refusal::Limit, error.to_string()),
            RecvError::Text => (Refusal::Protocol, error.to_string()),
            RecvError::Idle(_) => (Refusal::Deadline, error.to_string()),
            RecvError::Closed { .. } | RecvError::Socket(_) => {
                tracing::debug!(%error, "connection ended");
                return None;
            }
        };
        self.metrics.frames_refused.increment(1);
        tracing::info!(?code, message, "connection broke a rule");
        sender.close(close_code(code), &message);
        None
    }

    fn fetches<M: p2c2r_protocol::Message + Send + 'static>(
        &self,
        sender: Sender<M>,
        wrap: fn(p2c2r_protocol::message::Chunk) -> M,
    ) -> mpsc::Sender<Fetch> {
        let (queue, waiting) = mpsc::channel(limits::FETCHES_PER_CONNECTION);
        tokio::spawn(content::serve(self.content.clone(), waiting, sender, wrap));
        queue
    }

    async fn answer_blob(
        &self,
        blob: BlobId,
        answer: Result<(), (Refusal, String)>,
        sender: &Sender<ServerToClient>,
    ) -> Result<(), Gone> {
        let message = match answer {
            Ok(()) => {
                // The market first: the client's next message may be a task that names the blob.
                self.market.send(Event::BlobStored { blob }).await?;
                ServerToClient::BlobStored { blob }
            }
            Err((code, message)) => ServerToClient::BlobRefused { blob, code, message },
        };
        if let Err(error) = sender.send(&message, &[]) {
            tracing::debug!(%error, "blob answer not sent");
        }
        Ok(())
    }
}

/// Queues a fetch; false, and the connection is closed, if too many wait.
fn queue<M: p2c2r_protocol::Message>(fetches: &mpsc::Sender<Fetch>, fetch: Fetch, sender: &Sender<M>) -> bool {
    let queued = fetches.try_send(fetch).is_ok();
    if !queued {
        let bound = limits::FETCHES_PER_CONNECTION;
        sender.close(close_code(Refusal::Limit), &format!("more than {bound} fetches are waiting"));
    }
    queued
}

/// Hands a chunk to the disk, off this thread.
async fn take(uploads: &mut Option<Uploads>, piece: Piece) -> Option<Result<(), (Refusal, String)>> {
    let mut busy = uploads.take()?;
    let done = tokio::task::spawn_blocking(move || {
        let answer = busy.take(&piece);
        (busy, answer)
    });
    // An upload lost to a panic refuses everything that follows, by staying `None`.
    let (idle, answer) = done.await.ok()?;
    *uploads = Some(idle);
    answer
}

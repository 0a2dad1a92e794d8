//! A connection after its handshake: a sender that never blocks, a receiver that yields messages, and one task that
//! writes everything queued with a single flush.

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use p2c2r_protocol::frame::{self, FrameError, Message as WireMessage};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use crate::limits;

/// How a connection is kept and given up.
#[derive(Debug, Clone, Copy)]
pub struct KeepAlive {
    /// Silence after which the connection counts as dead.
    pub idle: Duration,
    /// How often to ping; only the coordinator does.
    pub ping: Option<Duration>,
}

/// Sends messages of type `M`. Cheap to clone; the connection closes when the last clone is dropped.
#[derive(Debug)]
pub struct Sender<M> {
    queue: mpsc::Sender<Outgoing>,
    gauge: Arc<Gauge>,
    direction: PhantomData<fn(M)>,
}

/// A message and its payload as one frame, for whoever keeps it to send it again.
#[derive(Debug)]
pub struct Encoded<M> {
    frame: Bytes,
    direction: PhantomData<fn(M)>,
}

/// Why a message was not queued.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// It is over a limit of the wire; a bug or bad input of the caller.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The other side does not read fast enough.
    #[error("send queue is full: {frames} frames or {bytes} bytes are waiting")]
    Full {
        /// Bound of the queue in frames.
        frames: usize,
        /// Bytes waiting.
        bytes: usize,
    },
    /// The connection is gone.
    #[error("connection is closed")]
    Closed,
}

/// Receives messages of type `M`.
pub struct Receiver<M> {
    stream: Pin<Box<dyn futures_util::Stream<Item = Result<Message, WsError>> + Send>>,
    idle: Duration,
    last: Instant,
    alarm: Pin<Box<Sleep>>,
    direction: PhantomData<fn() -> M>,
}

/// Why no more messages come.
#[derive(Debug, thiserror::Error)]
pub enum RecvError {
    /// The other side closed, with this reason if it gave one.
    #[error("connection closed by the other side: {reason}")]
    Closed {
        /// Its words, or "no reason given".
        reason: String,
    },
    /// Nothing came for too long.
    #[error("nothing received for {} ms", .0.as_millis())]
    Idle(Duration),
    /// A frame that does not decode; the other side broke the protocol.
    #[error("bad frame")]
    Frame(#[from] FrameError),
    /// A frame larger than the wire allows; it was not read.
    #[error("frame is over the limit of {limit} bytes")]
    TooLarge {
        /// Bytes of the largest frame.
        limit: usize,
    },
    /// A text frame; the wire has only binary ones.
    #[error("text frame where only binary frames belong")]
    Text,
    /// The socket broke, also in the middle of a frame.
    #[error("connection broke")]
    Socket(#[source] Box<WsError>),
}

/// What waits to be written, and how far the writer is.
#[derive(Debug, Default)]
struct Gauge {
    bytes: AtomicUsize,
    queued: AtomicU64,
    written: AtomicU64,
    progress: Notify,
}

#[derive(Debug)]
enum Outgoing {
    Frame(Bytes),
    Close { code: u16, reason: String },
}

impl<M: WireMessage> Encoded<M> {
    /// Encodes a message with its payload.
    ///
    /// # Errors
    /// [`FrameError`] if it is over a limit of the wire.
    pub fn new(message: &M, payload: &[u8]) -> Result<Self, FrameError> {
        Ok(Self { frame: frame::encode(message, payload)?, direction: PhantomData })
    }

    /// Takes bytes that were kept, if they still are a message of this kind.
    ///
    /// # Errors
    /// [`FrameError`] if they are not.
    pub fn parse(frame: Bytes) -> Result<Self, FrameError> {
        frame::decode::<M>(frame.clone())?;
        Ok(Self { frame, direction: PhantomData })
    }

    /// The frame.
    #[must_use]
    pub const fn as_bytes(&self) -> &Bytes {
        &self.frame
    }
}

impl<M> Clone for Encoded<M> {
    fn clone(&self) -> Self {
        Self { frame: self.frame.clone(), direction: PhantomData }
    }
}

impl<M: WireMessage> Sender<M> {
    /// Queues a message with its payload. Never waits.
    ///
    /// # Errors
    /// [`SendError::Full`] if the other side does not keep up: drop the message or the connection.
    pub fn send(&self, message: &M, payload: &[u8]) -> Result<(), SendError> {
        self.push(frame::encode(message, payload)?)
    }

    /// As [`Self::send`], for a message encoded before.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_encoded(&self, message: &Encoded<M>) -> Result<(), SendError> {
        self.push(message.frame.clone())
    }

    /// Closes the connection after what is queued. `code` is a WebSocket close code from 4000 to 4999; the reason is cut
    /// to what a close frame carries.
    pub fn close(&self, code: u16, reason: &str) {
        let reason = frame::cut(reason, limits::CLOSE_REASON_BYTES);
        // A full queue means the other side does not read: the reason would not arrive either.
        let _ = self.queue.try_send(Outgoing::Close { code, reason });
    }

    /// Waits until everything queued before this call is handed to the operating system, or the connection is gone. Bulk
    /// senders pace themselves with it, so that a task waits behind at most one chunk.
    pub async fn drained(&self) {
        let target = self.gauge.queued.load(Ordering::Acquire);
        loop {
            let progress = self.gauge.progress.notified();
            if self.gauge.written.load(Ordering::Acquire) >= target || self.queue.is_closed() {
                return;
            }
            tokio::select! {
                () = progress => {}
                () = self.queue.closed() => return,
            }
        }
    }

    /// Whether the connection is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    fn push(&self, frame: Bytes) -> Result<(), SendError> {
        let bytes = frame.len();
        let waiting = self.gauge.bytes.fetch_add(bytes, Ordering::AcqRel);
        let full = || SendError::Full { frames: limits::QUEUE_FRAMES, bytes: waiting };
        let result = if waiting + bytes > limits::QUEUE_BYTES {
            Err(full())
        } else {
            self.queue.try_send(Outgoing::Frame(frame)).map_err(|e| match e {
                mpsc::error::TrySendError::Full(_) => full(),
                mpsc::error::TrySendError::Closed(_) => SendError::Closed,
            })
        };
        if result.is_ok() {
            self.gauge.queued.fetch_add(1, Ordering::AcqRel);
        } else {
            self.gauge.bytes.fetch_sub(bytes, Ordering::AcqRel);
        }
        result
    }
}

impl<M> Clone for Sender<M> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), gauge: Arc::clone(&self.gauge), direction: PhantomData }
    }
}

impl<M: WireMessage> Receiver<M> {
    /// The next message and its payload. Cancel safe: a message is returned or still there.
    ///
    /// # Errors
    /// After any error the connection is of no more use.
    pub async fn next(&mut self) -> Result<(M, Bytes), RecvError> {
        loop {
            let item = tokio::select! {
                biased;
                item = self.stream.next() => item,
                () = self.alarm.as_mut() => {
                    // The alarm is not moved for every message, only looked at again when it rings.
                    let due = self.last + self.idle;
                    if due <= Instant::now() {
                        return Err(RecvError::Idle(self.idle));
                    }
                    self.alarm.as_mut().reset(due);
                    continue;
                }
            };
            self.last = Instant::now();
            match binary(item)? {
                Some(frame) => return Ok(frame::decode(frame)?),
                None => continue,
            }
        }
    }

    /// The next message if it has arrived already.
    ///
    /// # Errors
    /// As for [`Self::next`].
    pub fn try_next(&mut self) -> Option<Result<(M, Bytes), RecvError>> {
        self.next().now_or_never()
    }
}

impl<M> std::fmt::Debug for Receiver<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").field("idle", &self.idle).finish_non_exhaustive()
    }
}

/// Splits a WebSocket into its two ends and starts its writer on the current tokio runtime.
pub(crate) fn open<S, Out, In>(socket: WebSocketStream<S>, keep: KeepAlive) -> (Sender<Out>, Receiver<In>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sink, stream) = socket.split();
    let (queue, waiting) = mpsc::channel(limits::QUEUE_FRAMES);
    let gauge = Arc::new(Gauge::default());
    tokio::spawn(write(sink, waiting, Arc::clone(&gauge), keep.ping));
    let idle = keep.idle.clamp(limits::IDLE_MIN, limits::IDLE_MAX);
    let receiver = Receiver {
        stream: boxed(stream),
        idle,
        last: Instant::now(),
        alarm: Box::pin(tokio::time::sleep(idle)),
        direction: PhantomData,
    };
    (Sender { queue, gauge, direction: PhantomData }, receiver)
}

/// Configuration of every WebSocket: small buffers (an idle connection is cheap), bounded frames, bounded writes.
pub(crate) fn socket_config(frame_bytes: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(p2c2r_protocol::limits::READ_BUFFER_BYTES)
        .write_buffer_size(limits::WRITE_BUFFER_BYTES)
        .max_write_buffer_size(2 * limits::WRITE_BUFFER_BYTES + p2c2r_protocol::limits::FRAME_BYTES)
        .max_message_size(Some(frame_bytes))
        .max_frame_size(Some(frame_bytes))
}

/// The frame in a WebSocket item; `None` for pings and pongs.
pub(crate) fn binary(item: Option<Result<Message, WsError>>) -> Result<Option<Bytes>, RecvError> {
    match item {
        Some(Ok(Message::Binary(frame))) => Ok(Some(frame)),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(None),
        Some(Ok(Message::Text(_))) => Err(RecvError::Text),
        Some(Ok(Message::Close(frame))) => Err(RecvError::Closed { reason: reason(frame) }),
        Some(Err(WsError::Capacity(_))) => Err(RecvError::TooLarge { limit: p2c2r_protocol::limits::FRAME_BYTES }),
        Some(Err(error)) => Err(RecvError::Socket(Box::new(error))),
        None => Err(RecvError::Closed { reason: reason(None) }),
    }
}

fn reason(frame: Option<CloseFrame>) -> String {
    match frame {
        Some(frame) if !frame.reason.is_empty() => frame.reason.to_string(),
        _ => "no reason given".to_owned(),
    }
}

fn boxed<S>(
    stream: SplitStream<WebSocketStream<S>>,
) -> Pin<Box<dyn futures_util::Stream<Item = Result<Message, WsError>> + Send>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    Box::pin(stream)
}

/// Writes until the last sender is gone, a close is asked for, or the other side stops reading.
async fn write<S>(
    mut sink: SplitSink<WebSocketStream<S>, Message>,
    mut waiting: mpsc::Receiver<Outgoing>,
    gauge: Arc<Gauge>,
    ping: Option<Duration>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut batch = Vec::with_capacity(limits::BATCH_FRAMES);
    let mut pings = ping.map(|every| tokio::time::interval_at(Instant::now() + every, every));
    loop {
        let taken = tokio::select! {
            biased;
            taken = waiting.recv_many(&mut batch, limits::BATCH_FRAMES) => Some(taken),
            () = tick(&mut pings) => None,
        };
        let finished = async {
            match taken {
                None => sink.send(Message::Ping(Bytes::new())).await.map(|()| false),
                Some(0) => sink.close().await.map(|()| true),
                Some(_) => write_batch(&mut sink, &mut waiting, &mut batch, &gauge).await,
            }
        };
        match tokio::time::timeout(limits::WRITE_TIMEOUT, finished).await {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => break,
            Ok(Err(error)) => {
                tracing::debug!(%error, "write failed");
                break;
            }
            Err(_elapsed) => {
                tracing::debug!(timeout_ms = limits::WRITE_TIMEOUT.as_millis(), "the other side does not read");
                break;
            }
        }
    }
    waiting.close();
    gauge.progress.notify_waiters();
}

/// Feeds what was taken and whatever arrives meanwhile, then flushes once. True if the connection is to end.
async fn write_batch<S>(
    sink: &mut SplitSink<WebSocketStream<S>, Message>,
    waiting: &mut mpsc::Receiver<Outgoing>,
    batch: &mut Vec<Outgoing>,
    gauge: &Gauge,
) -> Result<bool, WsError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut bytes, mut frames) = (0, 0);
    let mut spare = limits::BATCH_FRAMES;
    let mut closing = None;
    loop {
        for outgoing in batch.drain(..) {
            match outgoing {
                Outgoing::Frame(frame) if closing.is_none() => {
                    bytes += frame.len();
                    frames += 1;
                    sink.feed(Message::Binary(frame)).await?;
                }
                Outgoing::Frame(_) => {}
                Outgoing::Close { code, reason } => {
                    closing = Some(CloseFrame { code: CloseCode::from(code), reason: reason.into() });
                }
            }
        }
        match waiting.try_recv() {
            Ok(next) if spare > 0 => {
                spare -= 1;
                batch.push(next);
            }
            Ok(next) => {
                batch.push(next);
                sink.flush().await?;
                spare = limits::BATCH_FRAMES;
            }
            Err(_) => break,
        }
    }
    let closed = closing.is_some();
    if closed {
        sink.send(Message::Close(closing)).await?;
    } else {
        sink.flush().await?;
    }
    gauge.bytes.fetch_sub(bytes, Ordering::AcqRel);
    gauge.written.fetch_add(frames, Ordering::AcqRel);
    gauge.progress.notify_waiters();
    Ok(closed)
}

async fn tick(pings: &mut Option<tokio::time::Interval>) {
    match pings {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

//! Answers to `Fetch`, off the market's task, one chunk at a time per connection.

use bytes::Bytes;
use p2c2r_protocol::frame::Message;
use p2c2r_protocol::limits::CHUNK_BYTES;
use p2c2r_protocol::message::{Chunk, Fetch};
use p2c2r_transport::Sender;
use tokio::sync::mpsc;

use super::Content;

/// Serves a connection's fetches in order until either side is gone. The next chunk is read when the one before it has
/// left, so that a task waits behind at most one.
pub(crate) async fn serve<M: Message>(
    content: Content,
    mut fetches: mpsc::Receiver<Fetch>,
    sender: Sender<M>,
    wrap: fn(Chunk) -> M,
) {
    while let Some(Fetch { item, offset }) = fetches.recv().await {
        let reader = content.clone();
        let read = tokio::task::spawn_blocking(move || reader.read(&item, offset, CHUNK_BYTES)).await;
        let (bytes, total_bytes) = match read {
            Ok(Ok(found)) => found.unwrap_or_default(),
            Ok(Err(error)) => {
                tracing::error!(%error, "content not readable");
                Default::default()
            }
            Err(_) => return,
        };
        let chunk = wrap(Chunk { item, offset, total_bytes });
        if sender.send(&chunk, &Bytes::from(bytes)).is_err() {
            return;
        }
        sender.drained().await;
    }
}

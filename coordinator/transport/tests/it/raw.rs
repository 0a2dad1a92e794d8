//! A visitor that says what a test wants, without TLS.

use futures_util::{SinkExt, StreamExt};
use p2c2r_protocol::frame;
use p2c2r_protocol::message::{Door, Knock, Role, WIRE_VERSION};
use p2c2r_signing::{Challenge, SecretKey, auth};
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role as WsRole;

/// A visitor that says what a test wants, without TLS.
pub(crate) struct Raw(pub(crate) WebSocketStream<DuplexStream>);

impl Raw {
    pub(crate) async fn new(io: DuplexStream) -> Self {
        Self(WebSocketStream::from_raw_socket(io, WsRole::Client, None).await)
    }

    pub(crate) async fn say(&mut self, knock: &Knock) {
        self.0.send(Message::Binary(frame::encode(knock, &[]).unwrap())).await.unwrap();
    }

    pub(crate) async fn hear(&mut self) -> Door {
        loop {
            if let Message::Binary(bytes) = self.0.next().await.unwrap().unwrap() {
                return frame::decode(bytes).unwrap().0;
            }
        }
    }

    /// Proves the key as `accept` with server digest `server` wants it.
    pub(crate) async fn come_in(&mut self, server: [u8; 32]) {
        let key = SecretKey::generate();
        self.say(&hello(&key, vec![WIRE_VERSION])).await;
        let Door::Challenge { nonce, .. } = self.hear().await else { panic!("expected a challenge") };
        let message = Challenge { role: auth::Role::Peer, nonce, server }.message();
        self.say(&Knock::Proof { signature: key.sign(&message).to_vec() }).await;
        assert!(matches!(self.hear().await, Door::Welcome { .. }));
    }
}

pub(crate) fn hello(key: &SecretKey, versions: Vec<u16>) -> Knock {
    Knock::Hello { versions, role: Role::Peer, key: key.public(), agent: "raw".to_owned() }
}

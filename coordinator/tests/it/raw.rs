//! A connection below the transport crate, for what its client would never do.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use p2c2r_protocol::frame::{self, Message as WireMessage};
use p2c2r_protocol::message::{Door, Knock, Role, WIRE_VERSION};
use p2c2r_signing::{Challenge, SecretKey, auth};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::world::World;

pub(crate) struct Raw {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    leaf: [u8; 32],
}

impl Raw {
    /// TLS only.
    pub(crate) async fn tls(world: &World) -> TlsStream<TcpStream> {
        let pem = std::fs::read(world.folder.path().join("tls/ca.pem")).expect("a ca");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem).expect("pem")).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let address = world.url("x").trim_start_matches("x://").to_owned();
        let tcp = TcpStream::connect(address).await.expect("connects");
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await.expect("tls")
    }

    /// TLS and the upgrade, nothing said yet.
    pub(crate) async fn connect(world: &World) -> Self {
        let tls = Self::tls(world).await;
        let leaf = tls.get_ref().1.peer_certificates().expect("certificates")[0].clone();
        let (socket, _) = tokio_tungstenite::client_async("wss://localhost/v1/connect", tls).await.expect("upgrades");
        Self { socket, leaf: *blake3::hash(&leaf).as_bytes() }
    }

    /// And past the handshake.
    pub(crate) async fn enter(world: &World, key: &SecretKey) -> Self {
        let mut raw = Self::connect(world).await;
        raw.hello(key, vec![WIRE_VERSION]).await;
        let Door::Challenge { nonce, .. } = raw.receive().await else { panic!("no challenge") };
        let signature = raw.proof(nonce, key);
        raw.send(&Knock::Proof { signature }).await;
        let welcome = raw.receive::<Door>().await;
        assert!(matches!(welcome, Door::Welcome { .. }), "{welcome:?}");
        raw
    }

    pub(crate) async fn hello(&mut self, key: &SecretKey, versions: Vec<u16>) {
        let hello = Knock::Hello { versions, role: Role::Client, key: key.public(), agent: "raw/1".to_owned() };
        self.send(&hello).await;
    }

    pub(crate) fn proof(&self, nonce: p2c2r_signing::Digest, key: &SecretKey) -> Vec<u8> {
        key.sign(&Challenge { role: auth::Role::Client, nonce, server: self.leaf }.message()).to_vec()
    }

    pub(crate) async fn send<M: WireMessage>(&mut self, message: &M) {
        self.send_bytes(frame::encode(message, &[]).expect("encodes").to_vec()).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: Vec<u8>) {
        self.socket.send(Message::Binary(Bytes::from(bytes))).await.expect("sent");
    }

    /// Bytes below the WebSocket.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let stream = self.socket.get_mut();
        stream.write_all(bytes).await.expect("sent");
        stream.flush().await.expect("sent");
    }

    pub(crate) async fn receive<M: WireMessage>(&mut self) -> M {
        loop {
            match self.socket.next().await.expect("a message").expect("good") {
                Message::Binary(bytes) => return frame::decode(bytes).expect("decodes").0,
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The close frame's code and reason.
    pub(crate) async fn closed(mut self) -> (u16, String) {
        loop {
            match self.socket.next().await.expect("a close frame").expect("good") {
                Message::Close(frame) => {
                    let frame = frame.expect("with a reason");
                    return (frame.code.into(), frame.reason.to_string());
                }
                Message::Binary(_) | Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

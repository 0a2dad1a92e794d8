//! A coordinator that does what a test says, and serves chunks of what it is given.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use p2c2r_protocol::limits::CHUNK_BYTES;
use p2c2r_protocol::message::{Chunk, Item, OfferedClass, PeerToServer, Role, ServerToPeer};
use p2c2r_signing::{AccountId, AttemptNonce, BlobId, ClassId, ModuleId, PublicKey, SecretKey, TaskId};
use p2c2r_transport::{AcceptError, Admitted, Receiver, Sender, ServerIdentity, Welcome, accept_tcp};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;

/// Longer than anything takes; a test that waits this long has failed.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Coordinator {
    pub(crate) ca_pem: String,
    pub(crate) items: BTreeMap<Item, Vec<u8>>,
    identity: ServerIdentity,
    listener: TcpListener,
}

/// One connection of a peer.
pub(crate) struct Conn {
    pub(crate) key: PublicKey,
    pub(crate) classes: Vec<OfferedClass>,
    pub(crate) slots: u16,
    pub(crate) fetched: Vec<Item>,
    sender: Sender<ServerToPeer>,
    receiver: Receiver<PeerToServer>,
}

impl Coordinator {
    pub(crate) async fn new() -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = params.self_signed(&ca_key).unwrap().pem();
        let issuer = Issuer::new(params, ca_key);
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let identity = ServerIdentity::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { ca_pem, items: BTreeMap::new(), identity, listener }
    }

    pub(crate) fn url(&self) -> String {
        format!("wss://localhost:{}", self.listener.local_addr().unwrap().port())
    }

    pub(crate) fn serve_kernel(&mut self, (module, bytes): (ModuleId, Vec<u8>)) -> ModuleId {
        self.items.insert(Item::Kernel(module), bytes);
        module
    }

    pub(crate) fn serve_blob(&mut self, bytes: Vec<u8>) -> BlobId {
        let blob = BlobId::of(&bytes);
        self.items.insert(Item::Blob(blob), bytes);
        blob
    }

    /// Accepts the peer and reads its offer.
    pub(crate) async fn accept(&self) -> Conn {
        let admitted = tokio::time::timeout(LIMIT, self.admit()).await.unwrap().unwrap();
        assert_eq!(admitted.visitor.role, Role::Peer);
        let key = admitted.visitor.key;
        let (sender, receiver) = admitted.open();
        let mut conn = Conn { key, classes: Vec::new(), slots: 0, fetched: Vec::new(), sender, receiver };
        conn.until_offer(self).await;
        conn
    }

    /// Takes a connection that must not come through.
    pub(crate) async fn accept_nobody(&self) {
        assert!(self.admit().await.is_err());
    }

    async fn admit(&self) -> Result<Admitted<TlsStream<TcpStream>>, AcceptError> {
        let (tcp, _) = self.listener.accept().await.unwrap();
        let operator = SecretKey::generate().public();
        let idle = Duration::from_secs(30);
        let decide = |_| async move { Ok(Welcome { account: AccountId::from_bytes([5; 16]), operator, idle }) };
        Box::pin(accept_tcp(tcp, &self.identity, decide)).await
    }
}

impl Conn {
    pub(crate) fn send(&self, message: &ServerToPeer) {
        self.sender.send(message, &[]).unwrap();
    }

    /// Assigns an attempt in the CPU class; its ticket is its nonce.
    pub(crate) fn assign(&self, attempt: u8, module: ModuleId, blobs: &[BlobId], input: &[u8]) -> AttemptNonce {
        self.assign_within(attempt, module, blobs, input, 60_000)
    }

    pub(crate) fn assign_within(
        &self,
        attempt: u8,
        module: ModuleId,
        blobs: &[BlobId],
        input: &[u8],
        deadline_ms: u32,
    ) -> AttemptNonce {
        let message = ServerToPeer::Assign {
            ticket: vec![attempt; 16],
            task: task(attempt),
            nonce: nonce(attempt),
            module,
            class: self.class(),
            blobs: blobs.to_vec(),
            seed: 9,
            max_units: 100,
            deadline_ms,
        };
        self.sender.send(&message, input).unwrap();
        nonce(attempt)
    }

    pub(crate) fn class(&self) -> ClassId {
        self.classes[0].class
    }

    /// The next result or fault; serves fetches from `host` meanwhile.
    pub(crate) async fn answer(&mut self, host: &Coordinator) -> (PeerToServer, Bytes) {
        loop {
            let (message, payload) = self.next(host).await;
            if matches!(message, PeerToServer::Result { .. } | PeerToServer::Fault { .. }) {
                return (message, payload);
            }
        }
    }

    pub(crate) async fn until_offer(&mut self, host: &Coordinator) {
        loop {
            if let (PeerToServer::Offer { slots, classes, speed }, _) = self.next(host).await {
                assert!(speed > 0);
                (self.slots, self.classes) = (slots, classes);
                return;
            }
        }
    }

    pub(crate) async fn until_ack(&mut self, host: &Coordinator, expected: u64) {
        loop {
            if let (PeerToServer::SettledAck { batch }, _) = self.next(host).await {
                assert_eq!(batch, expected);
                return;
            }
        }
    }

    /// Serves until the peer closes.
    pub(crate) async fn until_closed(&mut self) {
        let closed = async { while self.receiver.next().await.is_ok() {} };
        tokio::time::timeout(LIMIT, closed).await.unwrap();
    }

    async fn next(&mut self, host: &Coordinator) -> (PeerToServer, Bytes) {
        loop {
            let received = tokio::time::timeout(LIMIT, self.receiver.next()).await.unwrap().unwrap();
            let PeerToServer::Fetch(fetch) = &received.0 else { return received };
            let whole = host.items.get(&fetch.item).map(Vec::as_slice).unwrap_or_default();
            let start = usize::try_from(fetch.offset).unwrap().min(whole.len());
            let end = whole.len().min(start + CHUNK_BYTES);
            if start == 0 {
                self.fetched.push(fetch.item);
            }
            let head = Chunk { item: fetch.item, offset: fetch.offset, total_bytes: whole.len() as u64 };
            self.sender.send(&ServerToPeer::Chunk(head), &whole[start..end]).unwrap();
        }
    }
}

pub(crate) fn nonce(attempt: u8) -> AttemptNonce {
    AttemptNonce::from_bytes([attempt; 16])
}

pub(crate) fn task(attempt: u8) -> TaskId {
    TaskId::from_bytes([attempt; 16])
}

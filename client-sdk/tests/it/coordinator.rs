//! A coordinator that does what a test says.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use p2c2r_client::{Client, ClientConfig, Credits, Event, LocalPolicy, Network};
use p2c2r_protocol::message::{ClientToServer, Role, ServerToClient};
use p2c2r_signing::{AccountId, Outcome, SecretKey, SessionId, TaskId};
use p2c2r_transport::{Receiver, Sender, ServerIdentity, Welcome, accept_tcp};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::LIMIT;

pub(crate) struct Coordinator {
    /// Its own thread: the test's thread waits for the client.
    runtime: Arc<Runtime>,
    listener: TcpListener,
    identity: ServerIdentity,
    ca_pem: String,
}

/// One connection of the client.
pub(crate) struct Conn {
    runtime: Arc<Runtime>,
    sender: Sender<ServerToClient>,
    receiver: Receiver<ClientToServer>,
}

impl Coordinator {
    pub(crate) fn new() -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = params.self_signed(&ca_key).unwrap().pem();
        let issuer = Issuer::new(params, ca_key);
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let identity = ServerIdentity::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        Self { runtime: Arc::new(runtime), listener, identity, ca_pem }
    }

    pub(crate) fn client(&self, local: LocalPolicy) -> Client {
        let url = format!("wss://localhost:{}", self.listener.local_addr().unwrap().port());
        let config = ClientConfig::new(&url, self.ca_pem.clone(), SecretKey::generate());
        Client::start(config.local(local).budget(Credits::from_nano_usd(500))).unwrap()
    }

    pub(crate) fn accept(&self) -> Conn {
        let (sender, receiver) = self.runtime.block_on(async {
            let (tcp, _) = tokio::time::timeout(LIMIT, self.listener.accept()).await.unwrap().unwrap();
            let operator = SecretKey::generate().public();
            let account = AccountId::from_bytes([5; 16]);
            let decide = |_| async move { Ok(Welcome { account, operator, idle: Duration::from_secs(30) }) };
            let admitted = Box::pin(accept_tcp(tcp, &self.identity, decide)).await.unwrap();
            assert_eq!(admitted.visitor.role, Role::Client);
            admitted.open()
        });
        Conn { runtime: Arc::clone(&self.runtime), sender, receiver }
    }

    /// Accepts the client and opens its session; gives the session's number.
    pub(crate) fn accept_ready(&self, client: &Client) -> (Conn, u64) {
        let mut conn = self.accept();
        let (open, _) = conn.next();
        let ClientToServer::OpenSession { number, budget } = open else { panic!("{open:?}") };
        assert_eq!(budget, Credits::from_nano_usd(500));
        conn.send(&ServerToClient::SessionOpened { session: SessionId::from_bytes([1; 16]), budget }, b"");
        while !matches!(client.wait(LIMIT).unwrap(), Event::Network(Network::Ready { .. })) {}
        (conn, number)
    }
}

impl Conn {
    pub(crate) fn send(&self, message: &ServerToClient, payload: &[u8]) {
        self.sender.send(message, payload).unwrap();
    }

    pub(crate) fn next(&mut self) -> (ClientToServer, Bytes) {
        let receiver = &mut self.receiver;
        self.runtime.block_on(async { tokio::time::timeout(LIMIT, receiver.next()).await.unwrap().unwrap() })
    }

    /// The next task's number and input.
    pub(crate) fn task(&mut self) -> (u64, Bytes) {
        match self.next() {
            (ClientToServer::Submit { number, .. }, input) => (number, input),
            (other, _) => panic!("{other:?}"),
        }
    }

    pub(crate) fn answer(&self, number: u64, output: &[u8]) {
        let task = TaskId::from_bytes([2; 16]);
        let (outcome, units, confirmed) = (Outcome::Output, 1, false);
        self.send(&ServerToClient::TaskResult { number, task, outcome, units, confirmed }, output);
    }
}

//! A real coordinator in this process, with scripted clients and peers over real TLS.

use std::sync::Arc;

use bytes::Bytes;
use p2c2r_coordinator::Coordinator;
use p2c2r_coordinator::config::Settings;
use p2c2r_protocol::Credits;
use p2c2r_protocol::message::{ClientToServer, Mode, OfferedClass, Path, PeerToServer, ServerToClient, ServerToPeer};
use p2c2r_signing::{
    Ballot, ClassId, Digest, ModuleId, Outcome, PublicKey, SecretKey, TraceRoot, attach, input_digest, sign_module,
};
use p2c2r_transport::{ClientSide, PeerSide, Receiver, Sender, Target, connect};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::money::manifest;

/// Price of one unit in these tests.
pub(crate) const RATE: u64 = 7;

/// Units a scripted execution charges.
pub(crate) const UNITS: u64 = 10;

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) settings: Settings,
    coordinator: Option<Coordinator>,
}

impl World {
    /// A fresh coordinator, settling often.
    pub(crate) async fn start() -> Self {
        Self::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let folder = TempDir::new().expect("a folder");
        let always = Settings {
            dev: Some(true),
            data: Some(folder.path().to_owned()),
            listen: Some("127.0.0.1:0".parse().expect("an address")),
            settle_every_ms: Some(20),
            ..Settings::default()
        };
        let mut world = Self { folder, settings: settings.or(always), coordinator: None };
        world.run().await;
        world
    }

    pub(crate) async fn run(&mut self) {
        let config = self.settings.clone().finish().expect("good settings");
        self.coordinator = Some(Box::pin(Coordinator::start(&config)).await.expect("starts"));
    }

    /// Drains, and says how that went.
    pub(crate) async fn stop(&mut self) -> Result<(), p2c2r_coordinator::EndError> {
        self.coordinator.take().expect("running").shutdown().await
    }

    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.coordinator.as_ref().expect("running").address())
    }

    pub(crate) fn target(&self, key: &SecretKey) -> Target {
        let ca = std::fs::read(self.folder.path().join("tls/ca.pem")).expect("a ca");
        Target::new(&self.url("wss"), &ca, Arc::new(key.clone()), "test/1").expect("a target")
    }

    /// An HTTP request; the status and, if it is JSON, the body.
    pub(crate) async fn http(&self, method: &str, path: &str, token: Option<&str>, body: Vec<u8>) -> (u16, Value) {
        let (status, text) = self.http_text(method, path, token, body).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub(crate) async fn http_text(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Vec<u8>,
    ) -> (u16, String) {
        let agent = agent(&self.folder.path().join("tls/ca.pem"));
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url("https")));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let kind = if body.starts_with(b"\0asm") { "application/wasm" } else { "application/json" };
        let request = request.header("content-type", kind).body(body).expect("a request");
        let answer = tokio::task::spawn_blocking(move || {
            let mut answer = agent.run(request).expect("an answer");
            let text = answer.body_mut().read_to_string().expect("text");
            (answer.status().as_u16(), text)
        });
        answer.await.expect("no panic")
    }

    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("admin.token")).expect("a token").trim().to_owned()
    }

    pub(crate) async fn admin(&self, method: &str, path: &str, body: Vec<u8>) -> (u16, Value) {
        self.http(method, path, Some(&self.token()), body).await
    }

    pub(crate) async fn deposit(&self, key: &SecretKey, nano_usd: u64, reference: &str) {
        let path = format!("/admin/v1/accounts/{}/deposits", key.public().account());
        let body = json!({ "amount_nano_usd": nano_usd, "reference": reference }).to_string().into_bytes();
        let (status, answer) = self.admin("POST", &path, body).await;
        assert_eq!(status, 200, "{answer}");
    }

    pub(crate) async fn register_kernel(&self) -> ModuleId {
        let publisher = SecretKey::from_seed(&[40; 32]);
        let body = json!({ "key": publisher.public(), "name": "Example" }).to_string().into_bytes();
        let (status, answer) = self.admin("POST", "/admin/v1/publishers", body).await;
        assert_eq!(status, 200, "{answer}");
        let wasm = signed_kernel(&publisher);
        let (status, answer) =
            self.admin("POST", &format!("/admin/v1/kernels?rate_nano_usd={RATE}"), wasm.clone()).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["name"], "echo");
        assert_eq!(answer["module"], json!(ModuleId::of(&wasm)));
        ModuleId::of(&wasm)
    }

    pub(crate) async fn report(&self) -> Value {
        let (status, report) = self.admin("GET", "/admin/v1/report", Vec::new()).await;
        assert_eq!(status, 200, "{report}");
        report
    }

    pub(crate) async fn client(&self, key: &SecretKey) -> Client {
        let (_welcome, sender, receiver) = connect::<ClientSide>(&self.target(key)).await.expect("connects");
        Client { sender, receiver }
    }

    /// A client with money and an open session.
    pub(crate) async fn paying_client(&self, key: &SecretKey, budget: u64) -> Client {
        self.deposit(key, budget, &format!("for {}", key.public())).await;
        let mut client = self.client(key).await;
        client.open_session(1, budget).await;
        client
    }

    /// Connects a peer that behaves as told, in the background.
    pub(crate) async fn peer(&self, seed: u8, behaviour: Behaviour) -> PublicKey {
        let key = SecretKey::from_seed(&[seed; 32]);
        peer(&self.target(&key), &key, behaviour).await;
        key.public()
    }
}

/// Connects a peer that behaves as told, in the background.
pub(crate) async fn peer(target: &Target, key: &SecretKey, behaviour: Behaviour) {
    let (_welcome, sender, mut receiver) = connect::<PeerSide>(target).await.expect("connects");
    let class = OfferedClass { class: class(), path: Path::Cpu };
    sender.send(&PeerToServer::Offer { slots: 16, classes: vec![class], speed: 1 }, &[]).expect("sent");
    // The answer shows that the offer has been taken in before any task is submitted.
    sender.send(&PeerToServer::QueryEarnings, &[]).expect("sent");
    loop {
        match receiver.next().await.expect("an answer").0 {
            ServerToPeer::Earnings { .. } => break,
            // One that comes back is told again what it did not acknowledge.
            ServerToPeer::Settled { batch, .. } => sender.send(&PeerToServer::SettledAck { batch }, &[]).expect("sent"),
            other => panic!("{other:?}"),
        }
    }
    tokio::spawn(work(key.public(), behaviour, sender, receiver));
}

pub(crate) fn agent(ca: &std::path::Path) -> ureq::Agent {
    use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
    let pem = std::fs::read(ca).expect("a ca");
    let roots: Vec<_> = parse_pem(&pem)
        .filter_map(|item| if let Ok(PemItem::Certificate(one)) = item { Some(one) } else { None })
        .collect();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    ureq::Agent::config_builder().tls_config(tls).http_status_as_error(false).build().into()
}

pub(crate) fn signed_kernel(publisher: &SecretKey) -> Vec<u8> {
    let empty = b"\0asm\x01\0\0\0";
    sign_module(&attach(empty, &manifest(), &[]).expect("attaches"), publisher).expect("signs")
}

fn class() -> ClassId {
    ClassId::from_bytes([1; 32])
}

/// What the kernel of these tests does: the input backwards.
pub(crate) fn right(input: &[u8]) -> Vec<u8> {
    input.iter().rev().copied().collect()
}

pub(crate) struct Client {
    pub(crate) sender: Sender<ClientToServer>,
    pub(crate) receiver: Receiver<ServerToClient>,
}

impl Client {
    pub(crate) async fn next(&mut self) -> (ServerToClient, Bytes) {
        self.receiver.next().await.expect("a message")
    }

    pub(crate) async fn ask(&mut self, message: ClientToServer, payload: &[u8]) -> ServerToClient {
        self.sender.send(&message, payload).expect("sent");
        self.next().await.0
    }

    pub(crate) async fn open_session(&mut self, number: u64, budget: u64) {
        let budget = Credits::from_nano_usd(budget);
        let answer = self.ask(ClientToServer::OpenSession { number, budget }, &[]).await;
        assert!(matches!(answer, ServerToClient::SessionOpened { .. }), "{answer:?}");
    }

    pub(crate) fn submit(&self, task: ClientToServer, input: &[u8]) {
        self.sender.send(&task, input).expect("sent");
    }
}

/// A task for two peers.
pub(crate) fn task(number: u64, module: ModuleId) -> ClientToServer {
    task_for(2, number, module)
}

/// A task for `replicas` peers.
pub(crate) fn task_for(replicas: u8, number: u64, module: ModuleId) -> ClientToServer {
    ClientToServer::Submit {
        number,
        module,
        blobs: Vec::new(),
        seed: 0,
        deadline_ms: 10_000,
        priority: 0,
        mode: Mode::Provisional,
        replicas,
        max_units: UNITS,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Honest,
    /// Answers something else, with a good seal.
    Lying,
    /// Takes tasks and never answers.
    Silent,
}

async fn work(
    key: PublicKey,
    behaviour: Behaviour,
    sender: Sender<PeerToServer>,
    mut receiver: Receiver<ServerToPeer>,
) {
    while let Ok((message, input)) = receiver.next().await {
        match message {
            ServerToPeer::Assign { ticket, task, nonce, module, class, blobs, seed, .. } => {
                let output = match behaviour {
                    Behaviour::Honest => right(&input),
                    Behaviour::Lying => b"a lie".to_vec(),
                    Behaviour::Silent => continue,
                };
                let ballot = Ballot {
                    task,
                    module,
                    class,
                    input: input_digest(&input, &blobs, seed),
                    outcome: Outcome::Output,
                    output: Digest::of(&output),
                    units: UNITS,
                    trace_root: TraceRoot::from_bytes([5; 32]),
                };
                let seal = ballot.vote().seal(&key, &nonce);
                let (outcome, trace_root) = (ballot.outcome, ballot.trace_root);
                let result = PeerToServer::Result { ticket, outcome, units: UNITS, trace_root, seal };
                if sender.send(&result, &output).is_err() {
                    return;
                }
            }
            ServerToPeer::Settled { batch, .. } if sender.send(&PeerToServer::SettledAck { batch }, &[]).is_err() => {
                return;
            }
            _ => {}
        }
    }
}

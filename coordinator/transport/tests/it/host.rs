//! An authority, a server certificate and a listener.

use std::sync::Arc;
use std::time::Duration;

use p2c2r_protocol::message::{Role, ServerToClient, ServerToPeer};
use p2c2r_signing::{AccountId, PublicKey, SecretKey};
use p2c2r_transport::{AcceptError, Admitted, Decline, ServerIdentity, Target, Visitor, Welcome, accept_tcp};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;

pub(crate) type Let = Admitted<TlsStream<TcpStream>>;
pub(crate) type ToClient = p2c2r_transport::Sender<ServerToClient>;
pub(crate) type ToPeer = p2c2r_transport::Sender<ServerToPeer>;

pub(crate) struct Ca {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn identity(&self, host: &str, change: impl FnOnce(&mut CertificateParams)) -> ServerIdentity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        ServerIdentity::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    }
}

pub(crate) fn expired(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2001, 1, 1);
    params.not_after = date_time_ymd(2002, 1, 1);
}

pub(crate) struct Host {
    pub(crate) ca: Ca,
    pub(crate) identity: ServerIdentity,
    pub(crate) listener: TcpListener,
    pub(crate) operator: PublicKey,
}

impl Host {
    pub(crate) async fn new() -> Self {
        Self::with("localhost", |_| {}).await
    }

    pub(crate) async fn with(host: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let ca = Ca::new();
        let identity = ca.identity(host, change);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { ca, identity, listener, operator: SecretKey::generate().public() }
    }

    pub(crate) fn url(&self) -> String {
        format!("wss://localhost:{}", self.listener.local_addr().unwrap().port())
    }

    pub(crate) fn target(&self) -> Target {
        self.target_trusting(&self.ca.pem)
    }

    pub(crate) fn target_trusting(&self, ca_pem: &str) -> Target {
        Target::new(&self.url(), ca_pem.as_bytes(), Arc::new(SecretKey::generate()), "test/1").unwrap()
    }

    pub(crate) fn welcome(&self) -> Welcome {
        Welcome { account: AccountId::from_bytes([7; 16]), operator: self.operator, idle: Duration::from_secs(30) }
    }

    /// Accepts one connection and lets it in.
    pub(crate) async fn accept(&self) -> Result<Let, AcceptError> {
        let welcome = self.welcome();
        self.accept_by(|_| Ok(welcome)).await
    }

    pub(crate) async fn accept_by(
        &self,
        decide: impl FnOnce(&Visitor) -> Result<Welcome, Decline>,
    ) -> Result<Let, AcceptError> {
        let (tcp, _) = self.listener.accept().await.unwrap();
        Box::pin(accept_tcp(tcp, &self.identity, |visitor| async move { decide(&visitor) })).await
    }
}

pub(crate) fn role(admitted: &Let) -> Role {
    admitted.visitor.role
}

//! TLS on both ends: the outer side trusts only the authorities it is given, the server's side knows the digest of its
//! own leaf certificate, to which the handshake is bound.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

/// What is wrong with a server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateProblem {
    /// It does not chain to an authority the caller trusts.
    UnknownIssuer,
    /// Its time is over.
    Expired,
    /// Its time has not come, or this machine's clock is behind.
    NotYetValid,
    /// It is for another host; the names it is good for.
    WrongHost {
        /// Names in the certificate, as the TLS library words them.
        presented: Vec<String>,
    },
    /// Anything else, in the words of the TLS library.
    Other(String),
}

/// A server's certificate chain and key.
#[derive(Clone)]
pub struct ServerIdentity {
    config: Arc<ServerConfig>,
    leaf: [u8; 32],
}

/// A certificate or key that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Not PEM, or none in it.
    #[error("{what} is not usable PEM: {problem}")]
    Pem {
        /// Which of the two.
        what: &'static str,
        /// What the parser says.
        problem: String,
    },
    /// They do not fit each other, or the key is of an unsupported kind.
    #[error("certificate and key do not make a TLS identity")]
    Tls(#[source] rustls::Error),
}

impl ServerIdentity {
    /// From a PEM certificate chain, leaf first, and its PEM key.
    ///
    /// # Errors
    /// [`IdentityError`] says which of the two is wrong and how.
    pub fn from_pem(chain_pem: &[u8], key_pem: &[u8]) -> Result<Self, IdentityError> {
        let chain = certificates(chain_pem).map_err(|problem| IdentityError::Pem { what: "certificate", problem })?;
        let key = PrivateKeyDer::from_pem_slice(key_pem)
            .map_err(|e| IdentityError::Pem { what: "key", problem: e.to_string() })?;
        let leaf = chain
            .first()
            .map(leaf_digest)
            .ok_or_else(|| IdentityError::Pem { what: "certificate", problem: "it holds no certificate".to_owned() })?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(IdentityError::Tls)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(IdentityError::Tls)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), leaf })
    }

    /// Accepts TLS connections with this identity.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    /// blake3 of the leaf certificate's DER: what a connecting side binds its signature to.
    #[must_use]
    pub const fn leaf_digest(&self) -> &[u8; 32] {
        &self.leaf
    }
}

impl fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerIdentity").field("leaf", &blake3::Hash::from_bytes(self.leaf)).finish_non_exhaustive()
    }
}

impl CertificateProblem {
    /// The problem behind a failed TLS handshake, if it was the certificate.
    pub(crate) fn of(error: &std::io::Error) -> Option<Self> {
        let rustls::Error::InvalidCertificate(certificate) = error.get_ref()?.downcast_ref()? else { return None };
        Some(match certificate {
            // A certificate made for a signing role or signed by the wrong key fails the chain just as an unknown one.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::NotValidForName => Self::WrongHost { presented: Vec::new() },
            CertificateError::NotValidForNameContext { presented, .. } => {
                Self::WrongHost { presented: presented.iter().take(8).cloned().collect() }
            }
            other => Self::Other(format!("{other:?}").chars().take(200).collect()),
        })
    }
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownIssuer => f.write_str("it was not issued by the ca file given; is this the right ca file?"),
            Self::Expired => f.write_str("it has expired"),
            Self::NotYetValid => f.write_str("it is not valid yet; is this machine's clock right?"),
            Self::WrongHost { presented } if presented.is_empty() => f.write_str("it is for another host"),
            Self::WrongHost { presented } => write!(f, "it is for another host: {}", presented.join(", ")),
            Self::Other(problem) => f.write_str(problem),
        }
    }
}

/// Trusts the certificates in `ca_pem` and nothing else.
pub(crate) fn client_config(ca_pem: &[u8]) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca_pem)? {
        roots.add(certificate).map_err(|e| e.to_string())?;
    }
    if roots.is_empty() {
        return Err("it holds no certificate".to_owned());
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

pub(crate) fn leaf_digest(leaf: &CertificateDer<'_>) -> [u8; 32] {
    *blake3::hash(leaf.as_ref()).as_bytes()
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|e| e.to_string())
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

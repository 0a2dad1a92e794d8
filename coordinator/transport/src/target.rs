//! Where to connect and as whom.

use std::fmt;
use std::sync::Arc;

use p2c2r_signing::SecretKey;
use rustls::pki_types::ServerName;
use tokio_tungstenite::tungstenite::http::Uri;

use crate::tls;

/// Port used when the URL names none.
const DEFAULT_PORT: u16 = 8765;

/// Path of the WebSocket, fixed by the wire.
const PATH: &str = "/v1/connect";

/// A coordinator, the authority its certificate must come from, and the key to answer its challenge with.
#[derive(Clone)]
pub struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) name: ServerName<'static>,
    pub(crate) tls: Arc<rustls::ClientConfig>,
    pub(crate) key: Arc<SecretKey>,
    pub(crate) agent: String,
}

/// A target that cannot be used; the caller's input is wrong.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The URL is not `wss://host[:port]`.
    #[error("coordinator url must be wss://host[:port], got {url:?}: {problem}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The authority file holds no usable certificate.
    #[error("ca file holds no usable certificate: {problem}")]
    Ca {
        /// What is wrong with it.
        problem: String,
    },
}

impl Target {
    /// A coordinator at `url` (`wss://host[:port]`, port 8765 if absent) whose certificate chains to one of the
    /// authorities in `ca_pem`; the system's own authorities are not asked. `agent` is program and version, for logs.
    ///
    /// # Errors
    /// [`TargetError`] names the value that was wrong.
    pub fn new(url: &str, ca_pem: &[u8], key: Arc<SecretKey>, agent: &str) -> Result<Self, TargetError> {
        let bad = |problem: &str| TargetError::Url { url: url.to_owned(), problem: problem.to_owned() };
        let uri: Uri = url.parse().map_err(|e| bad(&format!("{e}")))?;
        if uri.scheme_str() != Some("wss") {
            return Err(bad("the scheme must be wss, the wire is never unencrypted"));
        }
        if !matches!(uri.path(), "" | "/" | PATH) || uri.query().is_some() {
            return Err(bad("path and query must be absent"));
        }
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_e| bad("the host is neither a name nor an address"))?;
        let port = uri.port_u16().unwrap_or(DEFAULT_PORT);
        let tls = tls::client_config(ca_pem).map_err(|problem| TargetError::Ca { problem })?;
        Ok(Self { host, port, name, tls: Arc::new(tls), key, agent: agent.to_owned() })
    }

    /// `host:port`, for logs and messages.
    #[must_use]
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The key that will sign the challenge.
    #[must_use]
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    pub(crate) fn url(&self) -> String {
        format!("wss://{}{PATH}", self.address())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("address", &self.address())
            .field("key", &self.key.public())
            .finish_non_exhaustive()
    }
}

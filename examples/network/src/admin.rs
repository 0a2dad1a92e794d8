//! The operator's side of the demo: the coordinator's admin API over HTTPS, with its CA pinned.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use ureq::Agent;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use p2c2r_signing::{AccountId, PublicKey};

/// A client of one coordinator's admin API.
pub struct Admin {
    base: String,
    token: String,
    agent: Agent,
}

/// `GET /admin/v1/report`.
#[derive(Debug, Clone, Deserialize)]
pub struct Report {
    /// What the platform earned.
    pub platform_nano_usd: u64,
    /// Whether all balances sum to zero and the journal's chain holds.
    pub ledger_balanced: bool,
    /// Every key that ever offered work.
    pub peers: Vec<PeerFigures>,
    /// Totals of the settlements.
    pub settlements: SettlementTotals,
}

/// A peer as the coordinator sees it.
#[derive(Debug, Clone, Deserialize)]
pub struct PeerFigures {
    /// Its key.
    pub id: PublicKey,
    /// What it earned.
    pub earned_nano_usd: u64,
    /// Votes that agreed with the verdict.
    pub votes_agreed: u64,
    /// Votes that did not.
    pub votes_outvoted: u64,
    /// Whether it is connected and has offered work.
    pub ready: bool,
    /// Whether it gets no work for having been wrong.
    pub suspended: bool,
}

/// Totals of the settlements.
#[derive(Debug, Clone, Deserialize)]
pub struct SettlementTotals {
    /// Confirmed tasks that are paid.
    pub tasks: u64,
}

/// One line of `GET /admin/v1/settlements`.
#[derive(Debug, Clone, Deserialize)]
pub struct SettledExecution {
    /// The batch.
    pub batch: u64,
    /// The task, hex.
    pub task: String,
    /// The kernel, hex.
    pub module: String,
    /// Who ran it.
    pub peer: PublicKey,
    /// Units of one execution.
    pub units: u64,
    /// What the task cost its client.
    pub task_cost_nano_usd: u64,
    /// `agreed`, `outvoted` or `void`.
    pub standing: String,
    /// What this execution earned.
    pub earned_nano_usd: u64,
}

#[derive(Debug, Deserialize)]
struct Settlements {
    executions: Vec<SettledExecution>,
    /// Pass as `after` to read on; absent at the end.
    next: Option<u64>,
}

/// Answer to registering a kernel.
#[derive(Debug, Deserialize)]
pub struct Registered {
    /// Its identity, hex.
    pub module: String,
    /// Its name.
    pub name: String,
}

impl Admin {
    /// A client of the coordinator at `base` (`https://127.0.0.1:8765`) whose CA is `ca` and whose token is in `token`.
    ///
    /// # Errors
    /// If a file cannot be read or holds no certificate.
    pub fn new(base: String, ca: &Path, token: &Path) -> Result<Self> {
        let pem = std::fs::read(ca).with_context(|| format!("reading {}", ca.display()))?;
        let roots: Vec<_> = parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        if roots.is_empty() {
            bail!("{} holds no certificate", ca.display());
        }
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&roots))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(Duration::from_secs(20)))
            .http_status_as_error(false)
            .build()
            .into();
        let token = std::fs::read_to_string(token).with_context(|| format!("reading {}", token.display()))?;
        Ok(Self { base, token: format!("Bearer {}", token.trim()), agent })
    }

    /// True once `/healthz` answers 200.
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.agent.get(format!("{}/healthz", self.base)).call().is_ok_and(|answer| answer.status() == 200)
    }

    /// Trusts a publisher's key.
    ///
    /// # Errors
    /// What the coordinator says.
    pub fn trust_publisher(&self, key: &PublicKey, name: &str) -> Result<()> {
        #[derive(Serialize)]
        struct Body<'a> {
            key: &'a PublicKey,
            name: &'a str,
        }
        self.post("/admin/v1/publishers", &serde_json::to_vec(&Body { key, name })?).map(|_: serde_json::Value| ())
    }

    /// Registers a signed kernel at a price per unit and execution.
    ///
    /// # Errors
    /// What the coordinator says.
    pub fn register_kernel(&self, wasm: &[u8], rate_nano_usd: u64) -> Result<Registered> {
        self.post(&format!("/admin/v1/kernels?rate_nano_usd={rate_nano_usd}"), wasm)
    }

    /// Books money that came in from outside.
    ///
    /// # Errors
    /// What the coordinator says.
    pub fn deposit(&self, account: &AccountId, amount_nano_usd: u64, reference: &str) -> Result<()> {
        #[derive(Serialize)]
        struct Body<'a> {
            amount_nano_usd: u64,
            reference: &'a str,
        }
        let body = serde_json::to_vec(&Body { amount_nano_usd, reference })?;
        self.post(&format!("/admin/v1/accounts/{account}/deposits"), &body).map(|_: serde_json::Value| ())
    }

    /// The coordinator's figures.
    ///
    /// # Errors
    /// What the coordinator says.
    pub fn report(&self) -> Result<Report> {
        self.get("/admin/v1/report")
    }

    /// Every execution settled so far.
    ///
    /// # Errors
    /// What the coordinator says.
    pub fn settlements(&self) -> Result<Vec<SettledExecution>> {
        let mut all = Vec::new();
        let mut after = 0;
        loop {
            let page: Settlements = self.get(&format!("/admin/v1/settlements?after={after}"))?;
            all.extend(page.executions);
            match page.next {
                Some(next) => after = next,
                None => return Ok(all),
            }
        }
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let answer = self.agent.get(format!("{}{path}", self.base)).header("authorization", &self.token).call();
        read(path, answer)
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T> {
        let request = self.agent.post(format!("{}{path}", self.base)).header("authorization", &self.token);
        let kind = if body.starts_with(b"\0asm") { "application/wasm" } else { "application/json" };
        read(path, request.header("content-type", kind).send(body))
    }
}

fn read<T: DeserializeOwned>(path: &str, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<T> {
    let mut answer = answer.with_context(|| path.to_owned())?;
    let status = answer.status();
    let text = answer.body_mut().with_config().limit(64 << 20).read_to_string().with_context(|| path.to_owned())?;
    if !status.is_success() {
        bail!("{path}: {status}: {text}");
    }
    serde_json::from_str(&text).with_context(|| format!("{path} answered {text:.200}"))
}

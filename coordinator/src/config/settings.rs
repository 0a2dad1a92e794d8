//! What may be said in a file, a variable or a flag, and how the three come together.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use p2c2r_core::MarketConfig;
use p2c2r_signing::AccountId;
use serde::Deserialize;

use super::{Accounts, Config, LogFormat};
use crate::files::read_limited;

/// Settings as given; what is absent is decided elsewhere. One list serves the file (`deny_unknown_fields`), the
/// variables and the flags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where to listen [default: 0.0.0.0:8765, with --dev 127.0.0.1:8765]
    #[arg(long, global = true, env = "P2C2R_LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Folder for everything the coordinator keeps [default: p2c2r-data]
    #[arg(long, global = true, env = "P2C2R_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Make a local certificate authority and open an account for every key
    #[arg(long, global = true, env = "P2C2R_DEV", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub dev: Option<bool>,
    /// A further name or address for the --dev certificate; may be repeated
    #[arg(long = "hostname", global = true, env = "P2C2R_HOSTNAMES", value_delimiter = ',', value_name = "NAME")]
    pub hostnames: Option<Vec<String>>,
    /// Certificate chain, PEM, leaf first
    #[arg(long, global = true, env = "P2C2R_TLS_CERT", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// Key of the certificate, PEM
    #[arg(long, global = true, env = "P2C2R_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Who may come in [default: known, with --dev open]
    #[arg(long, global = true, env = "P2C2R_ACCOUNTS", value_enum)]
    pub accounts: Option<Accounts>,
    /// Log filter, such as info or p2c2r_coordinator=debug [default: info]
    #[arg(long, global = true, env = "P2C2R_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// Form of the log [default: text]
    #[arg(long, global = true, env = "P2C2R_LOG_FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,
    /// Connections in all [default: 10000]
    #[arg(long, global = true, env = "P2C2R_MAX_CONNECTIONS", value_name = "COUNT")]
    pub max_connections: Option<usize>,
    /// Connections from one IPv4 address or IPv6 /64 [default: 1024]
    #[arg(long, global = true, env = "P2C2R_MAX_CONNECTIONS_PER_IP", value_name = "COUNT")]
    pub max_connections_per_ip: Option<usize>,
    /// Silence after which a connection is closed [default: 30000]
    #[arg(long, global = true, env = "P2C2R_IDLE_MS", value_name = "MS")]
    pub idle_ms: Option<u64>,
    /// Longest drain at the end [default: 10000]
    #[arg(long, global = true, env = "P2C2R_DRAIN_MS", value_name = "MS")]
    pub drain_ms: Option<u64>,
    /// Bytes for kernels and blobs on disk [default: 16 GiB]
    #[arg(long, global = true, env = "P2C2R_CONTENT_BYTES", value_name = "BYTES")]
    pub content_bytes: Option<u64>,
    /// Bytes of the blobs one account may store [default: 1 GiB]
    #[arg(long, global = true, env = "P2C2R_ACCOUNT_BLOB_BYTES", value_name = "BYTES")]
    pub account_blob_bytes: Option<u64>,
    /// Bytes the database may grow to [default: the disk]
    #[arg(long, global = true, env = "P2C2R_STORE_BYTES", value_name = "BYTES")]
    pub store_bytes: Option<u64>,
    /// Percent of a task's cost that goes to the peers [default: 75]
    #[arg(long, global = true, env = "P2C2R_PEER_SHARE_PERCENT", value_name = "PERCENT")]
    pub peer_share_percent: Option<u8>,
    /// Time between settlement batches [default: 1000]
    #[arg(long, global = true, env = "P2C2R_SETTLE_EVERY_MS", value_name = "MS")]
    pub settle_every_ms: Option<u64>,
    /// Time after a task's deadline in which its answer may still be verified [default: 10000]
    #[arg(long, global = true, env = "P2C2R_VERIFY_WINDOW_MS", value_name = "MS")]
    pub verify_window_ms: Option<u64>,
    /// Time a hold stays open without its client [default: 120000]
    #[arg(long, global = true, env = "P2C2R_HOLD_GRACE_MS", value_name = "MS")]
    pub hold_grace_ms: Option<u64>,
    /// Time after a restart in which peers may bring results from before it [default: 30000]
    #[arg(long, global = true, env = "P2C2R_RECOVERY_MS", value_name = "MS")]
    pub recovery_ms: Option<u64>,
    /// Wrong votes among a peer's last 64 that suspend it [default: 1]
    #[arg(long, global = true, env = "P2C2R_SUSPEND_OUTVOTED", value_name = "COUNT")]
    pub suspend_outvoted: Option<u32>,
    /// Time of a first suspension; each further one is twice as long [default: 3600000]
    #[arg(long, global = true, env = "P2C2R_SUSPEND_MS", value_name = "MS")]
    pub suspend_ms: Option<u64>,
    /// Percent of a trusted peer's tasks that are checked; 0: no checks, pay at once [default: 3]
    #[arg(long, global = true, env = "P2C2R_AUDIT_PERCENT", value_name = "PERCENT")]
    pub audit_percent: Option<u8>,
    /// Account whose peers decide disputes and get no other work; may be repeated
    #[arg(long = "referee", global = true, env = "P2C2R_REFEREES", value_delimiter = ',', value_name = "ACCOUNT")]
    pub referees: Option<Vec<AccountId>>,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration file {}: {problem}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// The file says something this program does not understand, an unknown key for example.
    #[error("configuration file {}: {problem}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Which key and line.
        problem: String,
    },
    /// A value out of its bounds.
    #[error("{key} is {value}, must be {bound}")]
    Value {
        /// Which setting.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        bound: String,
    },
    /// There is no certificate to serve.
    #[error("no certificate: give --tls-cert and --tls-key, or --dev for a local one")]
    NoCertificate,
    /// A certificate and a development certificate.
    #[error("--dev makes its own certificate: leave out --tls-cert and --tls-key, or --dev")]
    TwoCertificates,
}

impl Settings {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// [`ConfigError::Parse`] names an unknown key and its line.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let bytes =
            read_limited(path).map_err(|e| ConfigError::Read { path: path.to_owned(), problem: e.to_string() })?;
        let parse = |problem: String| ConfigError::Parse { path: path.to_owned(), problem };
        let text = String::from_utf8(bytes).map_err(|e| parse(e.to_string()))?;
        toml::from_str(&text).map_err(|e| parse(e.to_string().trim_end().to_owned()))
    }

    /// These settings, and where they are silent those.
    #[must_use]
    pub fn or(self, those: Self) -> Self {
        Self {
            listen: self.listen.or(those.listen),
            data: self.data.or(those.data),
            dev: self.dev.or(those.dev),
            hostnames: self.hostnames.or(those.hostnames),
            tls_cert: self.tls_cert.or(those.tls_cert),
            tls_key: self.tls_key.or(those.tls_key),
            accounts: self.accounts.or(those.accounts),
            log: self.log.or(those.log),
            log_format: self.log_format.or(those.log_format),
            max_connections: self.max_connections.or(those.max_connections),
            max_connections_per_ip: self.max_connections_per_ip.or(those.max_connections_per_ip),
            idle_ms: self.idle_ms.or(those.idle_ms),
            drain_ms: self.drain_ms.or(those.drain_ms),
            content_bytes: self.content_bytes.or(those.content_bytes),
            account_blob_bytes: self.account_blob_bytes.or(those.account_blob_bytes),
            store_bytes: self.store_bytes.or(those.store_bytes),
            peer_share_percent: self.peer_share_percent.or(those.peer_share_percent),
            settle_every_ms: self.settle_every_ms.or(those.settle_every_ms),
            verify_window_ms: self.verify_window_ms.or(those.verify_window_ms),
            hold_grace_ms: self.hold_grace_ms.or(those.hold_grace_ms),
            recovery_ms: self.recovery_ms.or(those.recovery_ms),
            suspend_outvoted: self.suspend_outvoted.or(those.suspend_outvoted),
            suspend_ms: self.suspend_ms.or(those.suspend_ms),
            audit_percent: self.audit_percent.or(those.audit_percent),
            referees: self.referees.or(those.referees),
        }
    }

    /// Fills in the defaults and checks the bounds.
    ///
    /// # Errors
    /// [`ConfigError::Value`] names the key, its value and its bound.
    pub fn finish(self) -> Result<Config, ConfigError> {
        let market = MarketConfig::default();
        let dev = self.dev.unwrap_or(false);
        let host = if dev { [127, 0, 0, 1] } else { [0, 0, 0, 0] };
        let config = Config {
            listen: self.listen.unwrap_or(SocketAddr::from((host, 8765))),
            data: self.data.unwrap_or_else(|| PathBuf::from("p2c2r-data")),
            dev,
            hostnames: self.hostnames.unwrap_or_default(),
            tls_cert: self.tls_cert,
            tls_key: self.tls_key,
            accounts: self.accounts.unwrap_or(if dev { Accounts::Open } else { Accounts::Known }),
            log: self.log.unwrap_or_else(|| "info".to_owned()),
            log_format: self.log_format.unwrap_or(LogFormat::Text),
            max_connections: within("max_connections", self.max_connections.unwrap_or(10_000), 1, 1_000_000)?,
            max_connections_per_ip: within(
                "max_connections_per_ip",
                self.max_connections_per_ip.unwrap_or(1024),
                1,
                1_000_000,
            )?,
            idle_ms: within("idle_ms", self.idle_ms.unwrap_or(30_000), 1_000, 600_000)?,
            drain_ms: within("drain_ms", self.drain_ms.unwrap_or(10_000), 0, 600_000)?,
            content_bytes: self.content_bytes.unwrap_or(16 << 30),
            account_blob_bytes: self.account_blob_bytes.unwrap_or(1 << 30),
            store_bytes: self.store_bytes,
            peer_share_percent: within(
                "peer_share_percent",
                self.peer_share_percent.unwrap_or(market.peer_share_percent),
                0,
                100,
            )?,
            settle_every_ms: within(
                "settle_every_ms",
                self.settle_every_ms.unwrap_or(market.settle_every_ms),
                10,
                60_000,
            )?,
            verify_window_ms: self.verify_window_ms.unwrap_or(market.verify_window_ms),
            hold_grace_ms: self.hold_grace_ms.unwrap_or(market.hold_grace_ms),
            recovery_ms: self.recovery_ms.unwrap_or(market.recovery_ms),
            suspend_outvoted: within(
                "suspend_outvoted",
                self.suspend_outvoted.unwrap_or(market.suspend_outvoted),
                1,
                64,
            )?,
            suspend_ms: self.suspend_ms.unwrap_or(market.suspend_ms),
            referees: self.referees.unwrap_or_default(),
            audit_percent: within("audit_percent", self.audit_percent.unwrap_or(AUDIT_PERCENT), 0, 100)?,
        };
        match (config.dev, &config.tls_cert, &config.tls_key) {
            (false, Some(_), Some(_)) | (true, None, None) => Ok(config),
            (false, ..) => Err(ConfigError::NoCertificate),
            (true, ..) => Err(ConfigError::TwoCertificates),
        }
    }
}

/// As [`p2c2r_core::TrustConfig`] has it by default.
const AUDIT_PERCENT: u8 = 3;

fn within<T: PartialOrd + std::fmt::Display>(key: &'static str, value: T, min: T, max: T) -> Result<T, ConfigError> {
    if value < min || value > max {
        return Err(ConfigError::Value { key, value: value.to_string(), bound: format!("{min} to {max}") });
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, String> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("writes");
        Settings::from_file(file.path()).map_err(|e| e.to_string())
    }

    #[test]
    fn what_comes_first_wins_and_defaults_fill_the_rest() {
        let file = parse("dev = true\nidle_ms = 5000\ndrain_ms = 1").expect("parses");
        let flags = Settings { idle_ms: Some(6000), ..Settings::default() };
        let config = flags.or(file).finish().expect("good");
        assert_eq!((config.idle_ms, config.drain_ms), (6000, 1));
        assert_eq!(config.listen.to_string(), "127.0.0.1:8765");
        assert_eq!(config.accounts, Accounts::Open);
        assert_eq!(config.peer_share_percent, 75);
        assert_eq!(config.market(), MarketConfig::default());
    }

    #[test]
    fn unknown_keys_and_bad_values_are_named() {
        let error = parse("dev = true\nidel_ms = 1").expect_err("a typo");
        assert!(error.contains("idel_ms") && error.contains("line 2"), "{error}");
        let error = parse("listen = \"here\"").expect_err("no address");
        assert!(error.contains("listen"), "{error}");
        let finish = |settings: Settings| settings.finish().expect_err("refused").to_string();
        let dev = Settings { dev: Some(true), ..Settings::default() };
        let bad = Settings { peer_share_percent: Some(101), ..dev.clone() };
        assert_eq!(finish(bad), "peer_share_percent is 101, must be 0 to 100");
        assert!(finish(Settings::default()).contains("no certificate"));
        assert!(finish(Settings { tls_cert: Some("x".into()), ..dev }).contains("--dev makes its own"));
    }
}

//! Settings: flags and environment over the file over defaults. Unknown keys in the file are errors.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use p2c2r_protocol::limits::SLOTS_PER_PEER;
use p2c2r_runtime::GpuPolicy;
use p2c2r_signing::{KeyError, PublicKey, SecretKey, TrustedKeys};
use serde::Deserialize;

use crate::limits;

const PEM_END: &str = "-----END PUBLIC KEY-----";

/// A peer's settings.
#[derive(Debug, Clone)]
pub struct PeerConfig {
    /// `wss://host[:port]`.
    pub coordinator: String,
    /// PEM file with the authority the coordinator's certificate must come from.
    pub ca: PathBuf,
    /// PEM file with the peer's key; made on the first start if it is not there.
    pub key: PathBuf,
    /// PEM file with the public keys of the publishers whose kernels may run here.
    pub trust: PathBuf,
    /// Folder for cache, journal and status.
    pub data: PathBuf,
    /// Attempts to take at once.
    pub slots: u16,
    /// Worker threads.
    pub workers: u16,
    /// What to use a GPU for, if there is one.
    pub gpu: GpuPolicy,
    /// Bytes of kernels and blobs kept on disk.
    pub cache_bytes: u64,
}

/// Settings from flags and environment, each optional; what is not given here comes from the file.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// TOML file with any of the settings below (`coordinator = "wss://.."`, `no_gpu = true`, ..)
    #[arg(long, env = "P2C2R_PEER_CONFIG")]
    pub config: Option<PathBuf>,
    /// The coordinator: `wss://host[:port]`, port 8765 if absent
    #[arg(long, env = "P2C2R_PEER_COORDINATOR")]
    pub coordinator: Option<String>,
    /// PEM file of the authority its certificate must come from [default: DATA/ca.pem]
    #[arg(long, env = "P2C2R_PEER_CA")]
    pub ca: Option<PathBuf>,
    /// PEM file of this peer's key, made if absent [default: DATA/peer.pem]
    #[arg(long, env = "P2C2R_PEER_KEY")]
    pub key: Option<PathBuf>,
    /// PEM file with the public keys of publishers whose kernels may run here [default: DATA/trust.pem]
    #[arg(long, env = "P2C2R_PEER_TRUST")]
    pub trust: Option<PathBuf>,
    /// Folder for cache, journal and status [default: the user's data folder]
    #[arg(long, env = "P2C2R_PEER_DATA")]
    pub data: Option<PathBuf>,
    /// Attempts to take at once [default: 4 per worker]
    #[arg(long, env = "P2C2R_PEER_SLOTS")]
    pub slots: Option<u16>,
    /// Worker threads [default: one per core, less one for the owner]
    #[arg(long, env = "P2C2R_PEER_WORKERS")]
    pub workers: Option<u16>,
    /// Never use the GPU
    #[arg(long, env = "P2C2R_PEER_NO_GPU")]
    pub no_gpu: bool,
    /// Run exact kernels on the CPU reference even where the GPU may: for referees
    #[arg(long, env = "P2C2R_PEER_EXACT_ON_CPU")]
    pub exact_on_cpu: bool,
    /// Bytes of kernels and blobs kept on disk [default: 4 GiB]
    #[arg(long, env = "P2C2R_PEER_CACHE_BYTES")]
    pub cache_bytes: Option<u64>,
}

/// A setting that is missing or wrong.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that cannot be read.
    #[error("{what} {}", path.display())]
    Read {
        /// Which.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The configuration file.
    #[error("{}: {problem}", path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// With line and key.
        problem: String,
    },
    /// Not given anywhere.
    #[error("--{setting} is needed (or `{setting}` in the configuration file)")]
    Missing {
        /// Which.
        setting: &'static str,
    },
    /// Out of range.
    #[error("{setting} is {got}, must be 1 to {max}")]
    Range {
        /// Which.
        setting: &'static str,
        /// As given.
        got: u64,
        /// The bound.
        max: u64,
    },
    /// A key in the trust file.
    #[error("{}: public key {index} is not usable: {source}", path.display())]
    Trust {
        /// Where.
        path: PathBuf,
        /// Counted from 1.
        index: usize,
        /// What is wrong.
        source: KeyError,
    },
    /// No key, or too many, in the trust file.
    #[error("{}: {problem}", path.display())]
    TrustSet {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileConfig {
    coordinator: Option<String>,
    ca: Option<PathBuf>,
    key: Option<PathBuf>,
    trust: Option<PathBuf>,
    data: Option<PathBuf>,
    slots: Option<u16>,
    workers: Option<u16>,
    no_gpu: Option<bool>,
    exact_on_cpu: Option<bool>,
    cache_bytes: Option<u64>,
}

impl RunArgs {
    /// The settings in force.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting or file.
    pub fn resolve(self) -> Result<PeerConfig, ConfigError> {
        let file = self.config.as_deref().map_or(Ok(FileConfig::default()), read_file)?;
        let data = self.data.or(file.data).unwrap_or_else(default_data);
        let beside = |name: &str| data.join(name);
        let workers = range("workers", self.workers.or(file.workers).unwrap_or_else(default_workers), limits::WORKERS)?;
        let slots = self.slots.or(file.slots).unwrap_or(workers.saturating_mul(4)).to_owned();
        Ok(PeerConfig {
            coordinator: self
                .coordinator
                .or(file.coordinator)
                .ok_or(ConfigError::Missing { setting: "coordinator" })?,
            ca: self.ca.or(file.ca).unwrap_or_else(|| beside("ca.pem")),
            key: self.key.or(file.key).unwrap_or_else(|| beside("peer.pem")),
            trust: self.trust.or(file.trust).unwrap_or_else(|| beside("trust.pem")),
            slots: range("slots", slots, SLOTS_PER_PEER)?,
            workers,
            gpu: if self.no_gpu || file.no_gpu.unwrap_or(false) {
                GpuPolicy::Off
            } else if self.exact_on_cpu || file.exact_on_cpu.unwrap_or(false) {
                GpuPolicy::DeviceOnly
            } else {
                GpuPolicy::Auto
            },
            cache_bytes: self.cache_bytes.or(file.cache_bytes).unwrap_or(limits::CACHE_BYTES),
            data,
        })
    }

    /// The data folder in force; all that `status` needs.
    ///
    /// # Errors
    /// If the configuration file is not usable.
    pub fn data(&self) -> Result<PathBuf, ConfigError> {
        let file = self.config.as_deref().map_or(Ok(FileConfig::default()), read_file)?;
        Ok(self.data.clone().or(file.data).unwrap_or_else(default_data))
    }
}

impl PeerConfig {
    /// The publishers' keys in the trust file.
    ///
    /// # Errors
    /// If the file is not there, has no key, or one that is not usable.
    pub fn trusted(&self) -> Result<TrustedKeys, ConfigError> {
        let path = || self.trust.clone();
        let text = read_text("trust file", &self.trust)?;
        let blocks: Vec<&str> = text.split_inclusive(PEM_END).filter(|block| block.contains("-----BEGIN")).collect();
        let key = |(index, block): (usize, &&str)| {
            let start = block.find("-----BEGIN").unwrap_or_default();
            PublicKey::from_pem(block.get(start..).unwrap_or_default()).map_err(|source| ConfigError::Trust {
                path: path(),
                index: index + 1,
                source,
            })
        };
        let keys = blocks.iter().enumerate().map(key).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            let problem = "no public key in it, so no kernel could run".to_owned();
            return Err(ConfigError::TrustSet { path: path(), problem });
        }
        TrustedKeys::new(keys).map_err(|error| ConfigError::TrustSet { path: path(), problem: error.to_string() })
    }

    /// The authority's certificate.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn ca_pem(&self) -> Result<Vec<u8>, ConfigError> {
        read_text("ca file", &self.ca).map(String::into_bytes)
    }

    /// The peer's key, made now if its file is not there.
    ///
    /// # Errors
    /// If the file is not a key or cannot be made.
    pub fn key(&self) -> Result<SecretKey, KeyError> {
        if !self.key.exists() {
            if let Some(folder) = self.key.parent() {
                // If it cannot be made, saving the key says so.
                let _ = fs::create_dir_all(folder);
            }
            let key = SecretKey::generate();
            key.save_new(&self.key)?;
            tracing::info!(path = %self.key.display(), key = %key.public(), "made a key; keep a copy, it is the account");
            return Ok(key);
        }
        SecretKey::load(&self.key)
    }
}

fn range(setting: &'static str, got: u16, max: u16) -> Result<u16, ConfigError> {
    if (1..=max).contains(&got) {
        Ok(got)
    } else {
        Err(ConfigError::Range { setting, got: got.into(), max: max.into() })
    }
}

fn read_file(path: &Path) -> Result<FileConfig, ConfigError> {
    let text = read_text("configuration file", path)?;
    toml::from_str(&text).map_err(|error| ConfigError::File { path: path.to_owned(), problem: error.to_string() })
}

fn read_text(what: &'static str, path: &Path) -> Result<String, ConfigError> {
    let read = |source| ConfigError::Read { what, path: path.to_owned(), source };
    let bytes = fs::metadata(path).map_err(read)?.len();
    if bytes > limits::FILE_BYTES {
        return Err(read(io::Error::other(format!("{bytes} bytes are over the limit of {}", limits::FILE_BYTES))));
    }
    fs::read_to_string(path).map_err(read)
}

fn default_workers() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u16::try_from(cores.saturating_sub(1)).unwrap_or(u16::MAX).clamp(1, limits::WORKERS)
}

fn default_data() -> PathBuf {
    directories::ProjectDirs::from("", "", "p2c2r-peer")
        .map_or_else(|| PathBuf::from("p2c2r-peer-data"), |dirs| dirs.data_local_dir().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(file: &str, args: RunArgs) -> Result<PeerConfig, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("peer.toml");
        fs::write(&path, file).unwrap();
        RunArgs { config: Some(path), ..args }.resolve()
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let file = "coordinator = 'wss://file'\nworkers = 3\ndata = '/d'\nno_gpu = true";
        let config = resolve(file, RunArgs { workers: Some(2), ..RunArgs::default() }).unwrap();
        assert_eq!(
            (config.coordinator.as_str(), config.workers, config.slots, config.gpu),
            ("wss://file", 2, 8, GpuPolicy::Off)
        );
        assert_eq!(config.key, Path::new("/d/peer.pem"));
        let gpu = |more: &str| resolve(&format!("coordinator = 'wss://file'\n{more}"), RunArgs::default()).unwrap().gpu;
        assert_eq!((gpu(""), gpu("exact_on_cpu = true")), (GpuPolicy::Auto, GpuPolicy::DeviceOnly));
        assert_eq!(gpu("exact_on_cpu = true\nno_gpu = true"), GpuPolicy::Off);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |file: &str, expected: &str| {
            let error = resolve(file, RunArgs::default()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("coordinator = 'wss://x'\nworkerz = 3", "workerz");
        check("", "--coordinator is needed");
        check("coordinator = 'wss://x'\nworkers = 0", "workers is 0, must be 1 to 63");
        check("coordinator = 'wss://x'\nslots = 2000", "slots is 2000, must be 1 to 1024");
    }

    #[test]
    fn trust_file() {
        let dir = tempfile::tempdir().unwrap();
        let args =
            RunArgs { data: Some(dir.path().to_owned()), coordinator: Some("wss://x".into()), ..RunArgs::default() };
        let config = args.resolve().unwrap();
        let check = |text: &str| {
            fs::write(&config.trust, text).unwrap();
            config.trusted().map(|keys| keys.len())
        };
        let (a, b) = (SecretKey::generate().public().to_pem(), SecretKey::generate().public().to_pem());
        assert_eq!(check(&format!("# ours\n{a}\n\ncomment\n{b}")).unwrap(), 2);
        assert!(check("# nobody").unwrap_err().to_string().contains("no public key"));
        let broken = format!("{a}\n-----BEGIN PUBLIC KEY-----\nAAAA\n{PEM_END}\n");
        assert!(check(&broken).unwrap_err().to_string().contains("public key 2"));
        assert_eq!(config.key().unwrap().public(), config.key().unwrap().public(), "made once, then read");
    }
}

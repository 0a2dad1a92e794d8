//! A coordinator and its peers as processes on this machine, with keys, signed kernels and money in place. The demo and
//! the benchmark both stand on it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use p2c2r_client::{Client, ClientConfig, Credits, Event, LocalPolicy, Network as Link};
use p2c2r_signing::{PublicKey, SecretKey, TrustedKeys};

use crate::admin::Admin;
use crate::processes::{Process, wait_for};

/// For anything that only has to start.
pub const START: Duration = Duration::from_secs(120);

/// What to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the built programs are.
    pub bin: PathBuf,
    /// Keys, stores and logs go here; emptied first.
    pub dir: PathBuf,
    /// Port of the coordinator; 0 takes a free one.
    pub port: u16,
}

/// A kernel to register.
#[derive(Debug, Clone)]
pub struct UnsignedKernel {
    /// Its name.
    pub name: String,
    /// The module with its manifest, unsigned.
    pub wasm: Vec<u8>,
    /// Price of one unit of one execution, nano-USD.
    pub rate_nano_usd: u64,
}

/// A running network.
pub struct Network {
    options: Options,
    /// Log files.
    pub logs: PathBuf,
    /// The coordinator's CA.
    pub ca: PathBuf,
    /// The author's public key, for `--trust`.
    pub trust: PathBuf,
    /// Signed kernels, `<name>.wasm`.
    pub signed: PathBuf,
    /// `wss://...`.
    pub url: String,
    /// The admin API.
    pub admin: Admin,
    /// The coordinator itself.
    pub coordinator: Process,
}

/// A running peer.
#[derive(Debug)]
pub struct Peer {
    /// Its name in the demo.
    pub name: String,
    /// Its key.
    pub key: PublicKey,
    /// The process.
    pub process: Process,
}

impl Network {
    /// Makes keys, signs `kernels`, starts a coordinator and registers them.
    ///
    /// # Errors
    /// If a program cannot be started, or the coordinator refuses something; the message carries its log.
    pub fn start(options: Options, kernels: &[UnsignedKernel]) -> Result<Self> {
        let dir = &options.dir;
        if dir.exists() {
            std::fs::remove_dir_all(dir).with_context(|| format!("emptying {}", dir.display()))?;
        }
        let (logs, keys, signed) = (dir.join("logs"), dir.join("keys"), dir.join("signed"));
        for folder in [&logs, &keys, &signed] {
            std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        }
        let author = SecretKey::generate();
        author.save_new(&keys.join("author.pem"))?;
        let trust = keys.join("author.pub.pem");
        std::fs::write(&trust, author.public().to_pem())?;

        let data = dir.join("coordinator");
        let listen = format!("127.0.0.1:{}", options.port);
        let args = strings(&["run", "--dev", "--data", utf8(&data)?, "--listen", &listen]);
        let mut coordinator =
            Process::start("coordinator", &options.bin.join("p2c2r-coordinator"), &args, &logs, false)?;
        let announced = data.join("listen");
        let address = wait_for(
            "the coordinator's start",
            START,
            || coordinator.still_running(),
            || std::fs::read_to_string(&announced).ok().map(|text| text.trim().to_owned()),
        )?;
        let ca = data.join("tls/ca.pem");
        let admin = Admin::new(format!("https://{address}"), &ca, &data.join("admin.token"))?;
        wait_for("/healthz", START, || coordinator.still_running(), || admin.healthy().then_some(()))?;

        admin.trust_publisher(&author.public(), "demo author")?;
        for kernel in kernels {
            let wasm = p2c2r_signing::sign_module(&kernel.wasm, &author)
                .with_context(|| format!("signing {}", kernel.name))?;
            std::fs::write(signed.join(format!("{}.wasm", kernel.name)), &wasm)?;
            admin.register_kernel(&wasm, kernel.rate_nano_usd)?;
        }
        let url = format!("wss://{address}");
        Ok(Self { options, logs, ca, trust, signed, url, admin, coordinator })
    }

    /// A new key in `keys/<name>.pem`.
    ///
    /// # Errors
    /// If there already is one of that name.
    pub fn new_key(&self, name: &str) -> Result<(PathBuf, SecretKey)> {
        let file = self.options.dir.join("keys").join(format!("{name}.pem"));
        let key = SecretKey::generate();
        key.save_new(&file)?;
        Ok((file, key))
    }

    /// Starts a peer of its own owner: `p2c2r-peer`, or another program that takes the same arguments.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_peer(&self, name: &str, program: &str, more: &[&str]) -> Result<Peer> {
        let (file, key) = self.new_key(name)?;
        let data = self.options.dir.join(name);
        let mut args = strings(&["run", "--coordinator", &self.url, "--ca", utf8(&self.ca)?, "--key", utf8(&file)?]);
        args.extend(strings(&["--data", utf8(&data)?, "--trust", utf8(&self.trust)?]));
        args.extend(strings(more));
        let process = Process::start(name, &self.options.bin.join(program), &args, &self.logs, false)?;
        Ok(Peer { name: name.to_owned(), key: key.public(), process })
    }

    /// Waits until the coordinator counts every one of `peers` as ready for work.
    ///
    /// # Errors
    /// If one ends, or it takes longer than [`START`].
    pub fn wait_ready(&self, peers: &mut [Peer]) -> Result<()> {
        let keys: Vec<PublicKey> = peers.iter().map(|peer| peer.key).collect();
        wait_for(
            "all peers offering work",
            START,
            || peers.iter_mut().try_for_each(|peer| peer.process.still_running()),
            || {
                let report = self.admin.report().ok()?;
                let ready = |key: &PublicKey| report.peers.iter().any(|peer| peer.id == *key && peer.ready);
                keys.iter().all(ready).then_some(())
            },
        )
    }

    /// A client that runs nothing itself, with its session open and `budget` in it, and whose kernels it trusts.
    ///
    /// # Errors
    /// If a file cannot be read, or the coordinator opens no session within `patience`.
    pub fn client(&self, key: &Path, budget: Credits, patience: Duration) -> Result<(Client, TrustedKeys)> {
        let config = ClientConfig::new(&self.url, std::fs::read(&self.ca)?, SecretKey::load(key)?)
            .budget(budget)
            .local(LocalPolicy::Off);
        let client = Client::start(config)?;
        session_opened(&client, patience)?;
        let author = PublicKey::from_pem(&std::fs::read_to_string(&self.trust)?)?;
        Ok((client, TrustedKeys::new([author])?))
    }

    /// Where this network keeps its files.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.options.dir
    }

    /// Starts another program of this build with its standard output piped.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_program(&self, name: &str, program: &str, args: &[String]) -> Result<Process> {
        Process::start(name, &self.options.bin.join(program), args, &self.logs, true)
    }
}

/// Waits until the coordinator opened a client's session.
///
/// # Errors
/// If it refuses the budget, or does nothing for `patience`.
pub fn session_opened(client: &Client, patience: Duration) -> Result<()> {
    loop {
        match client.wait(patience).context("the coordinator did not open a session")? {
            Event::Network(Link::Ready { .. }) => return Ok(()),
            Event::Network(Link::NoBudget { code, message }) => bail!("no budget ({code:?}): {message}"),
            Event::Network(other) => tracing::info!(?other, "network"),
            other => bail!("unexpected before the first task: {other:?}"),
        }
    }
}

/// Owned arguments.
#[must_use]
pub fn strings(args: &[&str]) -> Vec<String> {
    args.iter().map(|arg| (*arg).to_owned()).collect()
}

/// A path as an argument.
///
/// # Errors
/// If it is not UTF-8.
pub fn utf8(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}

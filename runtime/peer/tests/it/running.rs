//! A peer that runs in the test's own process.

use std::sync::Arc;

use p2c2r_peer::{Executor, JailExecutor, PeerConfig, PeerError, RunArgs, run_peer};
use p2c2r_signing::SecretKey;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::coordinator::Coordinator;

pub(crate) struct Setup {
    pub(crate) dir: TempDir,
    pub(crate) publisher: SecretKey,
}

pub(crate) struct Running {
    pub(crate) config: PeerConfig,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), PeerError>>,
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), publisher: SecretKey::generate() }
    }

    pub(crate) fn config(&self, coordinator: &Coordinator) -> PeerConfig {
        let path = |name: &str| self.dir.path().join(name);
        std::fs::write(path("ca.pem"), &coordinator.ca_pem).unwrap();
        std::fs::write(path("trust.pem"), self.publisher.public().to_pem()).unwrap();
        let args = RunArgs {
            coordinator: Some(coordinator.url()),
            data: Some(self.dir.path().to_owned()),
            workers: Some(2),
            no_gpu: true,
            ..RunArgs::default()
        };
        args.resolve().unwrap()
    }

    pub(crate) fn start(&self, coordinator: &Coordinator) -> Running {
        let executor = JailExecutor::start(&self.config(coordinator)).unwrap();
        self.start_with(coordinator, Arc::new(executor))
    }

    pub(crate) fn start_with(&self, coordinator: &Coordinator, executor: Arc<dyn Executor>) -> Running {
        let config = self.config(coordinator);
        let (stop, stopped) = oneshot::channel::<()>();
        let own = config.clone();
        let task = tokio::spawn(async move {
            let shutdown = async { drop(stopped.await) };
            Box::pin(run_peer(&own, executor, shutdown)).await
        });
        Running { config, stop, task }
    }
}

impl Running {
    /// Asks it to stop; the end comes with [`Self::ended`].
    pub(crate) fn stop(self) -> JoinHandle<Result<(), PeerError>> {
        let _ = self.stop.send(());
        self.task
    }

    pub(crate) async fn ended(self) -> Result<(), PeerError> {
        self.task.await.unwrap()
    }
}

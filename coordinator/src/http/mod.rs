//! What the port says over HTTP: health, metrics, kernels, the admin API, and the door to the WebSocket.

mod admin;
mod answer;
mod connect;
mod report;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use p2c2r_protocol::message::Item;
use p2c2r_signing::ModuleId;
use tokio::sync::watch;

pub(crate) use admin::AdminToken;
pub(crate) use answer::Failure;

use crate::connection::Reception;
use crate::ledger::{Ledger, Progress};
use crate::limits;
use crate::store::{SqliteStore, StoreError};

/// Time the market has to fill in `/metrics`; after it the last figures are shown.
const METRICS_WAIT: Duration = Duration::from_secs(1);

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) reception: Arc<Reception>,
    pub(crate) ledger: Ledger,
    pub(crate) progress: watch::Receiver<Progress>,
    /// A connection of its own to the store, for reading beside the ledger thread.
    pub(crate) archive: Arc<Mutex<SqliteStore>>,
    pub(crate) token: AdminToken,
    pub(crate) now: crate::clock::Clock,
}

/// All routes.
pub(crate) fn router(parts: Parts) -> Router {
    let shared = Shared(Arc::new(parts));
    let admin = Router::new()
        .route("/accounts/{account}/deposits", post(admin::deposit))
        .route("/publishers", post(admin::trust).get(admin::publishers))
        .route("/kernels", post(admin::register).layer(DefaultBodyLimit::max(p2c2r_signing::limits::MODULE_BYTES)))
        .route("/kernels/{module}/clear", post(admin::clear))
        .route("/report", get(report::report))
        .route("/settlements", get(report::settlements))
        .route_layer(middleware::from_fn_with_state(shared.clone(), admin::authorize));
    Router::new()
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .route("/v1/kernels/{module}", get(kernel))
        .route("/v1/connect", get(connect::upgrade))
        .nest("/admin/v1", admin)
        .fallback(async || Failure::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here"))
        .method_not_allowed_fallback(async || {
            Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method", "this path has no such method")
        })
        .layer(DefaultBodyLimit::max(limits::BODY_BYTES))
        .layer(middleware::from_fn(in_time))
        .with_state(shared)
}

impl Shared {
    /// Reads the store off this thread.
    async fn archive<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut SqliteStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Failure> {
        let archive = Arc::clone(&self.0.archive);
        let done = tokio::task::spawn_blocking(move || {
            // A read that panicked leaves no transaction open, so the store is as good as before.
            read(&mut archive.lock().unwrap_or_else(PoisonError::into_inner))
        });
        match done.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(Failure::internal(&error)),
            Err(error) => Err(Failure::internal(&error)),
        }
    }
}

async fn in_time(request: Request, next: Next) -> Response {
    let late = |_elapsed| {
        let message = format!("request not done after {} s", limits::REQUEST_TIMEOUT.as_secs());
        Failure::new(StatusCode::REQUEST_TIMEOUT, "timeout", message).into_response()
    };
    tokio::time::timeout(limits::REQUEST_TIMEOUT, next.run(request)).await.unwrap_or_else(late)
}

async fn health(State(Shared(shared)): State<Shared>) -> Result<&'static str, Failure> {
    let unavailable = |message| Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message));
    if shared.reception.drain.is_cancelled() {
        return unavailable("draining".to_owned());
    }
    if let Some(problem) = &shared.progress.borrow().failure {
        return unavailable(problem.clone());
    }
    Ok("ok\n")
}

async fn metrics(State(Shared(shared)): State<Shared>) -> impl IntoResponse {
    let reception = &shared.reception;
    let look = reception.market.view(|market, _links| market.stats().clone());
    if let Ok(Ok(stats)) = tokio::time::timeout(METRICS_WAIT, look).await {
        reception.metrics.take(&stats);
    }
    reception.metrics.set_store_healthy(shared.progress.borrow().failure.is_none());
    reception.metrics.set_content_bytes(reception.content.used());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], reception.metrics.render())
}

async fn kernel(
    State(Shared(shared)): State<Shared>,
    Path(module): Path<String>,
) -> Result<impl IntoResponse, Failure> {
    let module: ModuleId = module.parse().map_err(|e| Failure::bad(format!("{e}")))?;
    let content = shared.reception.content.clone();
    let read = move || content.read(&Item::Kernel(module), 0, p2c2r_signing::limits::MODULE_BYTES);
    let found = tokio::task::spawn_blocking(read).await.map_err(|e| Failure::internal(&e))?;
    let (bytes, _total) = found.map_err(|e| Failure::internal(&e))?.ok_or_else(|| {
        Failure::new(StatusCode::NOT_FOUND, "unknown_kernel", format!("kernel {module} is not registered"))
    })?;
    Ok(([(header::CONTENT_TYPE, "application/wasm")], bytes))
}

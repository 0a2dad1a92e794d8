//! The operator's commands.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, JsonRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use p2c2r_core::Admin;
use p2c2r_protocol::Credits;
use p2c2r_signing::{AccountId, ModuleId, PublicKey, TrustedKeys, verify_module};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Failure, Shared};
use crate::limits;
use crate::store::{Publisher, Store};

/// The bearer token, kept as its hash: `blake3::Hash` compares in constant time, whatever the length given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdminToken(blake3::Hash);

impl AdminToken {
    pub(crate) fn new(token: &str) -> Self {
        Self(blake3::hash(token.as_bytes()))
    }

    fn is(&self, given: &str) -> bool {
        self.0 == blake3::hash(given.as_bytes())
    }
}

/// Lets only the operator pass.
pub(super) async fn authorize(
    State(Shared(shared)): State<Shared>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match given.and_then(|value| value.strip_prefix("Bearer ")) {
        Some(token) if shared.token.is(token.trim()) => Ok(next.run(request).await),
        Some(_) => {
            Err(Failure::new(StatusCode::UNAUTHORIZED, "unauthorized", "the bearer token is not the admin token"))
        }
        None => {
            Err(Failure::new(StatusCode::UNAUTHORIZED, "unauthorized", "no bearer token in the authorization header"))
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deposit {
    amount_nano_usd: u64,
    reference: String,
}

pub(super) async fn deposit(
    State(shared): State<Shared>,
    Path(account): Path<String>,
    body: Result<Json<Deposit>, JsonRejection>,
) -> Result<Json<Value>, Failure> {
    let account: AccountId = account.parse().map_err(|e| Failure::bad(format!("{e}")))?;
    let Json(Deposit { amount_nano_usd, reference }) = body.map_err(rejected)?;
    if !(1..=limits::DEPOSIT_NANO_USD).contains(&amount_nano_usd) {
        let bound = limits::DEPOSIT_NANO_USD;
        return Err(Failure::bad(format!("amount_nano_usd is {amount_nano_usd}, must be 1 to {bound}")));
    }
    command(&shared, Admin::OpenAccount { account }).await?;
    let amount = Credits::from_nano_usd(amount_nano_usd);
    command(&shared, Admin::Deposit { account, amount, reference: reference.clone() }).await?;
    Ok(Json(json!({ "account": account, "amount_nano_usd": amount_nano_usd, "reference": reference })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trust {
    key: PublicKey,
    name: String,
}

pub(super) async fn trust(
    State(Shared(shared)): State<Shared>,
    body: Result<Json<Trust>, JsonRejection>,
) -> Result<Json<Value>, Failure> {
    let Json(Trust { key, name }) = body.map_err(rejected)?;
    if name.is_empty() || name.len() > limits::PUBLISHER_BYTES {
        let (bytes, bound) = (name.len(), limits::PUBLISHER_BYTES);
        return Err(Failure::bad(format!("name is {bytes} bytes, must be 1 to {bound}")));
    }
    let publisher = Publisher { key, name: name.clone(), added_ms: shared.now.now().0 };
    match shared.ledger.trust(publisher).await {
        Some(Ok(())) => Ok(Json(json!({ "key": key, "name": name }))),
        Some(Err(error)) => Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "store", error.to_string())),
        None => Err(crate::market::Gone.into()),
    }
}

pub(super) async fn publishers(State(shared): State<Shared>) -> Result<Json<Value>, Failure> {
    let publishers = shared.archive(Store::publishers).await?;
    let line = |p: &Publisher| json!({ "key": p.key, "name": p.name, "added_ms": p.added_ms });
    Ok(Json(json!({ "publishers": publishers.iter().map(line).collect::<Vec<_>>() })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Price {
    rate_nano_usd: u64,
}

pub(super) async fn register(
    State(shared): State<Shared>,
    price: Result<Query<Price>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Failure> {
    let Query(Price { rate_nano_usd }) = price.map_err(|e| Failure::bad(e.body_text()))?;
    let wasm = body.map_err(|e| Failure::new(e.status(), "body", e.body_text()))?;
    if !(1..=limits::RATE_NANO_USD).contains(&rate_nano_usd) {
        let bound = limits::RATE_NANO_USD;
        return Err(Failure::bad(format!("rate_nano_usd is {rate_nano_usd}, must be 1 to {bound}")));
    }
    let publishers = shared.archive(Store::publishers).await?;
    let trusted = TrustedKeys::new(publishers.into_iter().map(|p| p.key)).map_err(|e| Failure::bad(e.to_string()))?;
    let content = shared.0.reception.content.clone();
    let verify = move || {
        let module = verify_module(wasm, &trusted).map_err(|e| {
            Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "kernel", format!("kernel not accepted: {e}"))
        })?;
        content.put_kernel(module.id(), module.bytes()).map_err(|e| {
            tracing::error!(error = %e, "kernel not stored");
            Failure::new(StatusCode::INSUFFICIENT_STORAGE, "storage", e.to_string())
        })?;
        Ok::<_, Failure>(module)
    };
    let module = tokio::task::spawn_blocking(verify).await.map_err(|e| Failure::internal(&e))??;
    let (id, manifest) = (module.id(), module.manifest().clone());
    let (name, version) = (manifest.name.clone(), manifest.version.clone());
    let rate = Credits::from_nano_usd(rate_nano_usd);
    command(&shared, Admin::RegisterKernel { module: id, manifest: Box::new(manifest), rate }).await?;
    Ok(Json(json!({ "module": id, "name": name, "version": version, "rate_nano_usd": rate_nano_usd })))
}

/// A kernel that was held to be at fault may be run again.
pub(super) async fn clear(State(shared): State<Shared>, Path(module): Path<String>) -> Result<Json<Value>, Failure> {
    let module: ModuleId = module.parse().map_err(|e| Failure::bad(format!("{e}")))?;
    command(&shared, Admin::ClearKernel { module }).await?;
    Ok(Json(json!({ "module": module })))
}

/// Has the market do it, durably.
async fn command(shared: &Shared, command: Admin) -> Result<(), Failure> {
    let asked = shared.0.reception.market.admin(command);
    let answer = tokio::time::timeout(limits::MARKET_ANSWER, asked).await.map_err(|_elapsed| {
        let message = format!("not durable after {} s; ask again", limits::MARKET_ANSWER.as_secs());
        Failure::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    })?;
    answer?.map_err(|problem| Failure::new(StatusCode::CONFLICT, "refused", problem))
}

fn rejected(rejection: JsonRejection) -> Failure {
    Failure::new(rejection.status(), "body", rejection.body_text())
}

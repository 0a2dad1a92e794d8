//! `GET /v1/connect`: the upgrade to WebSocket (RFC 6455, section 4.2), by hand because hyper owns the socket.

use std::net::Ipv4Addr;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use hyper_util::rt::TokioIo;
use p2c2r_core::Network;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{Failure, Shared};
use crate::server::Held;

pub(super) async fn upgrade(State(Shared(shared)): State<Shared>, mut request: Request) -> Result<Response, Failure> {
    let headers = request.headers();
    let version = headers.get(header::SEC_WEBSOCKET_VERSION).map(|v| v.as_bytes());
    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    let wants = has(headers, &header::CONNECTION, "upgrade") && has(headers, &header::UPGRADE, "websocket");
    let (true, Some(b"13"), Some(key)) = (wants, version, key) else {
        let message = "this path speaks WebSocket version 13 only; see docs/WIRE.md";
        return Err(Failure::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", message));
    };
    let accept = derive_accept_key(key.as_bytes());
    let held = request.extensions_mut().remove::<Held>();
    let network = request.extensions_mut().remove::<Network>().unwrap_or(Network::of(Ipv4Addr::UNSPECIFIED.into()));
    let upgrading = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgrading.await {
            Ok(upgraded) => Box::pin(shared.reception.serve(TokioIo::new(upgraded), network)).await,
            Err(error) => tracing::debug!(%error, "upgrade failed"),
        }
        drop(held);
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .body(Body::empty())
        .map_err(|e| Failure::internal(&e))
}

/// Whether a header's comma-separated list names `token`.
fn has(headers: &HeaderMap, name: &header::HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(token))
}

//! The port: TCP, TLS, then HTTP/1.1, of which one path becomes a WebSocket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use p2c2r_core::Network;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::admission::{Admission, Place};
use crate::limits;
use crate::metrics::Metrics;

/// Pause after an accept failed, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The place a request's connection holds; a WebSocket keeps it.
#[derive(Clone)]
pub(crate) struct Held(#[expect(dead_code, reason = "held, never read")] Arc<(Place, Open)>);

pub(crate) struct Server {
    pub(crate) listener: TcpListener,
    pub(crate) tls: TlsAcceptor,
    pub(crate) router: Router,
    pub(crate) admission: Arc<Admission>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Server {
    /// Accepts until `stop`; connections already there live on.
    pub(crate) async fn run(self, stop: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            match accepted {
                Ok((tcp, address)) => self.admit(tcp, address),
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, tcp: TcpStream, address: SocketAddr) {
        let place = match self.admission.enter(address.ip()) {
            Ok(place) => place,
            Err(crowded) => {
                self.metrics.connections_refused.increment(1);
                tracing::info!(%address, %crowded, "connection refused");
                return;
            }
        };
        let held = Held(Arc::new((place, Open::new(&self.metrics))));
        let (tls, router, metrics) = (self.tls.clone(), self.router.clone(), Arc::clone(&self.metrics));
        tokio::spawn(async move {
            let network = Network::of(address.ip());
            if let Err(error) = serve(tcp, &tls, router, (held, network), &metrics).await {
                tracing::debug!(%address, error, "connection failed");
            }
        });
    }
}

async fn serve(
    tcp: TcpStream,
    tls: &TlsAcceptor,
    router: Router,
    (held, network): (Held, Network),
    metrics: &Metrics,
) -> Result<(), String> {
    // A frame is written whole; waiting for more to fill a segment only adds delay.
    tcp.set_nodelay(true).map_err(|e| e.to_string())?;
    let handshake = tokio::time::timeout(limits::TLS_TIMEOUT, tls.accept(tcp)).await;
    let stream = match handshake {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            metrics.handshakes_failed.increment(1);
            return Err(format!("tls: {error}"));
        }
        Err(_) => {
            metrics.handshakes_failed.increment(1);
            return Err(format!("tls: not done after {} s", limits::TLS_TIMEOUT.as_secs()));
        }
    };
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(held.clone());
        request.extensions_mut().insert(network);
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEAD_TIMEOUT)
        .max_buf_size(limits::HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    match tokio::time::timeout(limits::HTTP_CONNECTION, connection).await {
        Ok(result) => result.map_err(|e| format!("http: {e}")),
        Err(_) => Err(format!("http: open for {} s", limits::HTTP_CONNECTION.as_secs())),
    }
}

/// Counts an open connection while it lives.
struct Open(metrics::Gauge);

impl Open {
    fn new(metrics: &Metrics) -> Self {
        metrics.connections.increment(1.0);
        Self(metrics.connections.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

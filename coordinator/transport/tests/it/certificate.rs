//! A coordinator is who the pinned authority says it is, or the error says what is wrong.

use p2c2r_transport::{CertificateProblem, ClientSide, ConnectError, Target, TargetError, connect};

use crate::host::{Ca, Host, expired};

async fn problem(host: &Host, ca_pem: &str) -> CertificateProblem {
    let target = host.target_trusting(ca_pem);
    let (outer, inner) = tokio::join!(connect::<ClientSide>(&target), host.accept());
    assert!(inner.is_err(), "nobody may come in");
    match outer {
        Err(ConnectError::Certificate { problem, .. }) => problem,
        other => panic!("expected a certificate problem, got {other:?}"),
    }
}

#[tokio::test]
async fn unknown_issuer() {
    let host = Host::new().await;
    assert_eq!(problem(&host, &Ca::new().pem).await, CertificateProblem::UnknownIssuer);
}

#[tokio::test]
async fn expired_certificate() {
    let host = Host::with("localhost", expired).await;
    assert_eq!(problem(&host, &host.ca.pem).await, CertificateProblem::Expired);
}

#[tokio::test]
async fn wrong_host() {
    let host = Host::with("elsewhere.example", |_| {}).await;
    let problem = problem(&host, &host.ca.pem).await;
    assert!(problem.to_string().contains("elsewhere.example"), "{problem}");
}

#[test]
fn useless_targets_are_named() {
    let key = std::sync::Arc::new(p2c2r_signing::SecretKey::generate());
    let ca = Ca::new().pem;
    let check = |url: &str, ca: &str, expected: &str| {
        let error = Target::new(url, ca.as_bytes(), key.clone(), "t").unwrap_err();
        assert!(error.to_string().contains(expected), "{url}: {error}");
        error
    };
    check("ws://localhost:1", &ca, "scheme must be wss");
    check("localhost", &ca, "scheme must be wss");
    check("wss://localhost/other", &ca, "path and query must be absent");
    check("wss://", &ca, "wss://host[:port]");
    assert!(matches!(check("wss://localhost", "no pem", "no certificate"), TargetError::Ca { .. }));
    let target = Target::new("wss://[::1]", ca.as_bytes(), key.clone(), "t").unwrap();
    assert_eq!(target.address(), "[::1]:8765");
}

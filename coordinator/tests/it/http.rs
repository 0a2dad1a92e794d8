//! What the port says over HTTP.

use p2c2r_coordinator::config::{Accounts, Settings};
use p2c2r_protocol::message::Refusal;
use p2c2r_signing::SecretKey;
use p2c2r_transport::{ClientSide, ConnectError, connect};
use serde_json::{Value, json};

use crate::world::{World, signed_kernel};

fn error_code(answer: &Value) -> &str {
    assert!(answer["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer}");
    answer["error"]["code"].as_str().expect("a code")
}

#[tokio::test]
async fn health_metrics_and_kernels_are_public() {
    let mut world = World::start().await;
    let (status, text) = world.http_text("GET", "/healthz", None, Vec::new()).await;
    assert_eq!((status, text.as_str()), (200, "ok\n"));
    let module = world.register_kernel().await;
    let (status, text) = world.http_text("GET", "/metrics", None, Vec::new()).await;
    assert_eq!(status, 200);
    for name in [
        "p2c2r_tasks_submitted_total",
        "p2c2r_tasks_confirmed_total",
        "p2c2r_tasks_revoked_total",
        "p2c2r_peers_connected",
        "p2c2r_store_healthy 1",
        "p2c2r_platform_fee_nano_usd_total",
        "p2c2r_certificate_expires_timestamp_seconds",
        "# HELP p2c2r_task_latency_seconds",
        "# TYPE p2c2r_tasks_submitted_total counter",
    ] {
        assert!(text.contains(name), "{name} is missing in\n{text}");
    }
    let (status, answer) = world.http("GET", "/v1/kernels/abc", None, Vec::new()).await;
    assert_eq!((status, error_code(&answer)), (400, "bad_request"));
    let unknown = p2c2r_signing::ModuleId::of(b"nothing");
    let (status, answer) = world.http("GET", &format!("/v1/kernels/{unknown}"), None, Vec::new()).await;
    assert_eq!((status, error_code(&answer)), (404, "unknown_kernel"));
    let agent = crate::world::agent(&world.folder.path().join("tls/ca.pem"));
    let url = format!("{}/v1/kernels/{module}", world.url("https"));
    let fetched = tokio::task::spawn_blocking(move || agent.get(url).call().expect("there").body_mut().read_to_vec());
    assert_eq!(p2c2r_signing::ModuleId::of(&fetched.await.expect("no panic").expect("bytes")), module);
    world.stop().await.expect("drains");
}

#[tokio::test]
async fn only_the_operator_administers() {
    let mut world = World::start().await;
    for token in [None, Some(""), Some("wrong"), Some(&world.token()[1..])] {
        for (method, path) in [
            ("GET", "/admin/v1/report"),
            ("POST", "/admin/v1/publishers"),
            ("POST", "/admin/v1/kernels?rate_nano_usd=1"),
        ] {
            let (status, answer) = world.http(method, path, token, Vec::new()).await;
            assert_eq!((status, error_code(&answer)), (401, "unauthorized"), "{method} {path} with {token:?}");
        }
    }
    #[cfg(unix)]
    for secret in ["admin.token", "ticket.key", "operator.pem", "tls/server.key"] {
        let metadata = std::fs::metadata(world.folder.path().join(secret)).expect("there");
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
        assert_eq!(mode & 0o077, 0, "{secret} is for its owner only");
    }
    world.stop().await.expect("drains");
}

#[tokio::test]
async fn bad_requests_say_what_is_wrong() {
    let mut world = World::start().await;
    let check = async |method: &str, path: &str, body: Vec<u8>, status: u16, code: &str, text: &str| {
        let (found, answer) = world.admin(method, path, body).await;
        assert_eq!((found, error_code(&answer)), (status, code), "{answer}");
        let message = answer["error"]["message"].as_str().expect("a message");
        assert!(message.contains(text), "{message:?} lacks {text:?}");
    };
    let account = SecretKey::from_seed(&[1; 32]).public().account();
    let deposits = format!("/admin/v1/accounts/{account}/deposits");
    let json = |value: Value| value.to_string().into_bytes();
    check("GET", "/nothing", vec![], 404, "not_found", "nothing here").await;
    check("DELETE", "/admin/v1/report", vec![], 405, "method", "no such method").await;
    check("POST", "/admin/v1/accounts/xyz/deposits", json(json!({})), 400, "bad_request", "AccountId must be 32").await;
    check("POST", &deposits, b"{".to_vec(), 400, "body", "JSON").await;
    check("POST", &deposits, json(json!({"amount_nano_usd": 5})), 422, "body", "reference").await;
    check("POST", &deposits, json(json!({"amount_nano_usd": 0, "reference": "a"})), 400, "bad_request", "must be 1 to")
        .await;
    let huge = json!({"amount_nano_usd": 1_000_000_000_000_001u64, "reference": "a"});
    check("POST", &deposits, json(huge), 400, "bad_request", "1000000000000001, must be 1 to 1000000000000000").await;
    check("POST", &deposits, json(json!({"amount_nano_usd": 5, "reference": "r".repeat(129)})), 409, "refused", "129")
        .await;
    check("POST", &deposits, vec![b' '; 17 << 10], 413, "body", "limit").await;
    world.deposit(&SecretKey::from_seed(&[1; 32]), 5, "once").await;
    world.deposit(&SecretKey::from_seed(&[1; 32]), 5, "once").await;
    check("POST", &deposits, json(json!({"amount_nano_usd": 6, "reference": "once"})), 409, "refused", "once").await;
    let report = world.report().await;
    assert_eq!(report["deposited_nano_usd"], 5, "the same reference twice is one deposit");

    check("POST", "/admin/v1/publishers", json(json!({"key": "00", "name": "x"})), 422, "body", "key").await;
    check("POST", "/admin/v1/kernels", b"\0asm".to_vec(), 400, "bad_request", "rate_nano_usd").await;
    check("POST", "/admin/v1/kernels?rate_nano_usd=0", b"\0asm".to_vec(), 400, "bad_request", "must be 1 to").await;
    let stranger = signed_kernel(&SecretKey::from_seed(&[77; 32]));
    check("POST", "/admin/v1/kernels?rate_nano_usd=5", stranger, 422, "kernel", "kernel not accepted").await;
    check("POST", "/admin/v1/kernels?rate_nano_usd=5", b"\0asmjunk".to_vec(), 422, "kernel", "kernel not accepted")
        .await;
    check("POST", "/admin/v1/kernels/xyz/clear", vec![], 400, "bad_request", "ModuleId must be 64").await;
    let unknown = format!("/admin/v1/kernels/{}/clear", p2c2r_signing::ModuleId::of(b"nothing"));
    check("POST", &unknown, vec![], 409, "refused", "not registered").await;
    check("GET", "/v1/connect", vec![], 426, "upgrade_required", "WebSocket").await;
    world.stop().await.expect("drains");
}

#[tokio::test]
async fn without_open_accounts_only_the_known_come_in() {
    let mut world = World::with(Settings { accounts: Some(Accounts::Known), ..Settings::default() }).await;
    let key = SecretKey::from_seed(&[9; 32]);
    let error = connect::<ClientSide>(&world.target(&key)).await.expect_err("refused");
    let ConnectError::Rejected { code: Refusal::Forbidden, message, .. } = error else { panic!("{error}") };
    assert!(message.contains(&key.public().account().to_string()), "{message}");
    world.deposit(&key, 5, "welcome").await;
    world.client(&key).await;
    world.stop().await.expect("drains");
}

#[tokio::test]
async fn an_address_gets_only_so_many_connections() {
    let mut world = World::with(Settings { max_connections_per_ip: Some(2), ..Settings::default() }).await;
    let key = SecretKey::from_seed(&[9; 32]);
    let first = world.client(&key).await;
    let _second = world.client(&key).await;
    connect::<ClientSide>(&world.target(&key)).await.expect_err("the third is refused");
    drop(first);
    // The place comes back when the server has seen the goodbye.
    while connect::<ClientSide>(&world.target(&key)).await.is_err() {}
    world.stop().await.expect("drains");
}

//! The program itself: killed at a bad moment, started again, stopped politely.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use p2c2r_coordinator::announced;
use p2c2r_protocol::Credits;
use p2c2r_protocol::message::{ClientToServer, ServerToClient};
use p2c2r_signing::{ModuleId, SecretKey};
use p2c2r_transport::{ClientSide, Target, connect};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::{Behaviour, Client, RATE, UNITS, agent, peer, signed_kernel, task_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_p2c2r-coordinator");

/// Ends the process with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has usually ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(data: &Path) -> Running {
    let mut child = Command::new(PROGRAM)
        .args(["--dev", "--listen", "127.0.0.1:0", "--settle-every-ms", "20", "--log-format", "json", "--data"])
        .arg(data)
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let stderr = child.stderr.take().expect("piped");
    let running = Running(child);
    let mut lines = BufReader::new(stderr).lines();
    loop {
        let line = lines.next().expect("it says that it listens before it ends").expect("text");
        let line: Value = serde_json::from_str(&line).expect("each line is a JSON object");
        if line["fields"]["message"] == "listening" {
            break;
        }
    }
    // Whatever it says later must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    running
}

fn call(data: &Path, method: &str, path: &str, body: &Value) -> Value {
    send(data, method, path, "application/json", body.to_string().as_bytes())
}

fn send(data: &Path, method: &str, path: &str, kind: &str, body: &[u8]) -> Value {
    let url = format!("https://{}{path}", announced(data).expect("announced"));
    let token = std::fs::read_to_string(data.join("admin.token")).expect("a token");
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(url)
        .header("authorization", format!("Bearer {}", token.trim()))
        .header("content-type", kind)
        .body(body)
        .expect("a request");
    let mut answer = agent(&data.join("tls/ca.pem")).run(request).expect("an answer");
    let text = answer.body_mut().read_to_string().expect("text");
    assert_eq!(answer.status(), 200, "{text}");
    serde_json::from_str(&text).expect("json")
}

fn target(data: &Path, key: &SecretKey) -> Target {
    let ca = std::fs::read(data.join("tls/ca.pem")).expect("a ca");
    let url = format!("wss://{}", announced(data).expect("announced"));
    Target::new(&url, &ca, Arc::new(key.clone()), "test/1").expect("a target")
}

fn run(args: &[&str]) -> Output {
    Command::new(PROGRAM).args(args).env_clear().output().expect("runs")
}

#[tokio::test]
async fn killed_with_an_open_session_it_still_knows_the_money() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path();
    let mut running = start(data);
    let key = SecretKey::from_seed(&[9; 32]);
    let deposits = format!("/admin/v1/accounts/{}/deposits", key.public().account());
    call(data, "POST", &deposits, &json!({ "amount_nano_usd": 900, "reference": "a" }));

    let (_, sender, mut receiver) = connect::<ClientSide>(&target(data, &key)).await.expect("connects");
    let budget = Credits::from_nano_usd(400);
    sender.send(&ClientToServer::OpenSession { number: 1, budget }, &[]).expect("sent");
    let (answer, _) = receiver.next().await.expect("an answer");
    assert!(matches!(answer, ServerToClient::SessionOpened { .. }), "{answer:?}");
    running.0.kill().expect("killed");
    running.0.wait().expect("ended");

    let audit = run(&["audit", "--json", "--data", data.to_str().expect("utf-8")]);
    assert!(audit.status.success(), "{audit:?}");
    let audit: Value = serde_json::from_slice(&audit.stdout).expect("json");
    assert_eq!((&audit["ledger_balanced"], &audit["held_nano_usd"]), (&json!(true), &json!(400)), "{audit}");

    let mut running = start(data);
    let report = call(data, "GET", "/admin/v1/report", &Value::Null);
    assert_eq!(report["ledger_balanced"], true, "{report}");
    assert_eq!((&report["deposited_nano_usd"], &report["held_nano_usd"]), (&json!(900), &json!(400)), "{report}");
    call(data, "POST", &deposits, &json!({ "amount_nano_usd": 900, "reference": "a" }));
    let report = call(data, "GET", "/admin/v1/report", &Value::Null);
    assert_eq!(report["deposited_nano_usd"], 900, "the same reference is the same deposit after a crash too");

    #[cfg(unix)]
    {
        let pid = running.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("runs").success());
        let status = running.0.wait().expect("ended");
        assert!(status.success(), "a polite end is 0, got {status}");
    }
    #[cfg(not(unix))]
    running.0.kill().expect("killed");
}

/// Connects a peer of each seed.
async fn peers(data: &Path, seeds: impl Iterator<Item = u8>) {
    for seed in seeds {
        let key = SecretKey::from_seed(&[seed; 32]);
        let behaviour = if seed == LIAR { Behaviour::Lying } else { Behaviour::Honest };
        peer(&target(data, &key), &key, behaviour).await;
    }
}

const LIAR: u8 = 4;

/// Has tasks of `replicas` executions run in a session of their own.
async fn tasks(data: &Path, session: u64, count: u64, replicas: u8, module: ModuleId) {
    let target = target(data, &SecretKey::from_seed(&[9; 32]));
    let (_, sender, receiver) = connect::<ClientSide>(&target).await.expect("connects");
    let mut client = Client { sender, receiver };
    client.open_session(session, count * u64::from(replicas) * RATE * UNITS).await;
    for number in 0..count {
        client.submit(task_for(replicas, number, module), &number.to_le_bytes());
    }
    let mut verdicts = 0;
    while verdicts < count {
        let (message, _) = client.next().await;
        assert!(!matches!(message, ServerToClient::TaskRefused { .. }), "{message:?}");
        verdicts += u64::from(matches!(message, ServerToClient::TaskVerdict { .. }));
    }
    // The answer comes when everything is settled and durable.
    let closed = client.ask(ClientToServer::CloseSession, &[]).await;
    assert!(matches!(closed, ServerToClient::SessionClosed { .. }), "{closed:?}");
}

/// What the report says of the three honest peers and the liar: kernels trusted with, and wrong votes.
fn standings(report: &Value) -> [(u64, u64); 4] {
    let peers = report["peers"].as_array().expect("a list");
    [1, 2, 3, LIAR].map(|seed| {
        let id = SecretKey::from_seed(&[seed; 32]).public().to_string();
        let peer = peers.iter().find(|peer| peer["id"] == id).expect("known");
        let number = |name: &str| peer[name].as_u64().expect("a number");
        (number("kernels_trusted"), number("votes_outvoted"))
    })
}

#[tokio::test]
async fn killed_it_still_knows_whom_to_trust() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path();
    let mut running = start(data);
    let publisher = SecretKey::from_seed(&[40; 32]);
    call(data, "POST", "/admin/v1/publishers", &json!({ "key": publisher.public(), "name": "Example" }));
    let kernel = signed_kernel(&publisher);
    let register = format!("/admin/v1/kernels?rate_nano_usd={RATE}");
    send(data, "POST", &register, "application/wasm", &kernel);
    let deposits = format!("/admin/v1/accounts/{}/deposits", SecretKey::from_seed(&[9; 32]).public().account());
    call(data, "POST", &deposits, &json!({ "amount_nano_usd": 1_000_000, "reference": "a" }));
    peers(data, 1..=LIAR).await;
    tasks(data, 1, 340, 2, ModuleId::of(&kernel)).await;
    let before = call(data, "GET", "/admin/v1/report", &Value::Null);
    assert!(matches!(standings(&before), [(1, 0), (1, 0), (1, 0), (0, 1..)]), "{before}");
    running.0.kill().expect("killed");
    running.0.wait().expect("ended");

    let _running = start(data);
    let after = call(data, "GET", "/admin/v1/report", &Value::Null);
    assert_eq!(standings(&after), standings(&before));
    // Without the liar: how many tasks it were given before the first verdict, nobody can say.
    peers(data, 1..LIAR).await;
    tasks(data, 2, 60, 1, ModuleId::of(&kernel)).await;
    let report = call(data, "GET", "/admin/v1/report", &Value::Null);
    let count = |report: &Value| report["settlements"]["executions"].as_u64().expect("a number");
    let executions = count(&report) - count(&after);
    // Of newcomers the first thirty would all be checked and most of the others: about 112 executions. After 220 comparisons each,
    // trusted ones are checked in a few percent of theirs; hedges may add a tenth.
    assert!((60..=85).contains(&executions), "{executions} executions for 60 tasks: {report}");
}

#[test]
fn settings_are_shown_and_mistakes_are_named() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("c.toml");
    let file_arg = file.to_str().expect("utf-8");
    std::fs::write(&file, "dev = true\nidle_ms = 5000\npeer_share_percent = 80\n").expect("writes");
    let show = Command::new(PROGRAM)
        .args(["--config", file_arg, "config", "show", "--peer-share-percent", "70"])
        .env_clear()
        .env("P2C2R_IDLE_MS", "6000")
        .env("P2C2R_PEER_SHARE_PERCENT", "60")
        .output()
        .expect("runs");
    let text = String::from_utf8(show.stdout).expect("utf-8");
    assert!(show.status.success(), "{}", String::from_utf8_lossy(&show.stderr));
    assert!(text.contains("peer_share_percent = 70") && text.contains("idle_ms = 6000"), "{text}");

    std::fs::write(&file, "dev = true\nlisten_on = 1\n").expect("writes");
    let check = |args: &[&str], expected: &str| {
        let output = run(args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains(expected), "{text}");
    };
    check(&["--config", file_arg, "config", "show"], "listen_on");
    check(&["--config", "/no/such/file", "run"], "/no/such/file");
    check(&["run", "--peer-share-percent", "101", "--dev"], "peer_share_percent is 101, must be 0 to 100");
    check(&["run"], "give --tls-cert and --tls-key, or --dev");
    check(&["audit", "--data", folder.path().to_str().expect("utf-8")], "coordinator.sqlite");
}

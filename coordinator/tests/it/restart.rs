//! What a restarted coordinator knows.

use p2c2r_coordinator::config::Settings;
use p2c2r_core::MarketConfig;
use p2c2r_protocol::message::{ClientToServer, ServerToClient};
use p2c2r_signing::SecretKey;

use crate::world::{Behaviour, RATE, UNITS, World, task};

#[tokio::test]
async fn accounts_kernels_balances_and_holds_survive_a_restart() {
    assert!(MarketConfig::default().hold_grace_ms > 1_000, "or the hold would be gone");
    // Nobody brings results from before the restart, so the session may close soon after it.
    let mut world = World::with(Settings { recovery_ms: Some(50), ..Settings::default() }).await;
    let module = world.register_kernel().await;
    world.peer(1, Behaviour::Honest).await;
    world.peer(2, Behaviour::Honest).await;
    let key = SecretKey::from_seed(&[9; 32]);
    let mut client = world.paying_client(&key, 1_000).await;
    client.submit(task(1, module), b"before");
    while !matches!(client.next().await.0, ServerToClient::TaskVerdict { .. }) {}
    world.stop().await.expect("drains");
    let farewell = client.receiver.next().await;
    assert!(
        matches!(farewell, Ok((ServerToClient::Draining, _)) | Err(_)),
        "told of the drain, or closed: {farewell:?}"
    );

    world.run().await;
    let report = world.report().await;
    let cost = RATE * UNITS * 2;
    assert_eq!(report["ledger_balanced"], true, "{report}");
    assert_eq!(report["deposited_nano_usd"], 1_000);
    assert_eq!(report["held_nano_usd"], 1_000 - cost, "the hold is still there, less what was posted");
    assert_eq!(report["kernels"][0]["rate_nano_usd"], RATE);
    assert_eq!(report["settlements"]["tasks"], 1);

    let mut again = world.client(&key).await;
    again.open_session(1, 1_000).await;
    let closed = again.ask(ClientToServer::CloseSession, &[]).await;
    assert!(matches!(closed, ServerToClient::SessionClosed { spent } if spent.nano_usd() == cost), "{closed:?}");
    let report = world.report().await;
    assert_eq!(report["held_nano_usd"], 0, "{report}");
    world.stop().await.expect("drains");
}

#[tokio::test]
async fn a_kernel_file_that_is_gone_stops_the_start() {
    let mut world = World::start().await;
    let module = world.register_kernel().await;
    world.stop().await.expect("drains");
    std::fs::remove_file(world.folder.path().join("kernels").join(module.to_string())).expect("removed");
    let config = world.settings.clone().finish().expect("good");
    let error = Box::pin(p2c2r_coordinator::Coordinator::start(&config)).await.err().expect("refused").to_string();
    assert!(error.contains("kernel echo") && error.contains(&module.to_string()), "{error}");
}

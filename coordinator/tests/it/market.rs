//! Tasks from submit to payment, through the real coordinator.

use p2c2r_protocol::Credits;
use p2c2r_protocol::message::{Basis, ClientToServer, Fetch, Item, Refusal, ServerToClient, Verdict};
use p2c2r_signing::{BlobId, SecretKey};

use crate::world::{Behaviour, RATE, UNITS, World, right, task};

const COST: u64 = RATE * UNITS * 2;

/// Waits for the verdict on task `number`, whatever else comes.
async fn verdict(client: &mut crate::world::Client, number: u64) -> Verdict {
    loop {
        match client.next().await.0 {
            ServerToClient::TaskVerdict { number: n, verdict } if n == number => return verdict,
            ServerToClient::TaskRefused { code, message, .. } => panic!("refused {code:?}: {message}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_task_is_answered_confirmed_and_paid_to_the_nano_dollar() {
    let mut world = World::start().await;
    let module = world.register_kernel().await;
    let (one, two) = (world.peer(1, Behaviour::Honest).await, world.peer(2, Behaviour::Honest).await);
    let key = SecretKey::from_seed(&[9; 32]);
    let mut client = world.paying_client(&key, 10_000).await;
    client.submit(task(1, module), b"abc");
    let (first, output) = client.next().await;
    assert!(matches!(first, ServerToClient::TaskResult { number: 1, units: UNITS, .. }), "{first:?}");
    assert_eq!(output, right(b"abc"));
    assert_eq!(
        verdict(&mut client, 1).await,
        Verdict::Confirmed { cost: Credits::from_nano_usd(COST), basis: Basis::Quorum }
    );
    let closed = client.ask(ClientToServer::CloseSession, &[]).await;
    assert_eq!(closed, ServerToClient::SessionClosed { spent: Credits::from_nano_usd(COST) });

    let report = world.report().await;
    assert_eq!(report["ledger_balanced"], true, "{report}");
    assert_eq!(report["settlements"]["tasks"], 1);
    assert_eq!(report["settlements"]["executions"], 2);
    let peers = report["peers"].as_array().expect("a list");
    let earned: Vec<_> = peers.iter().map(|peer| peer["earned_nano_usd"].as_u64().expect("a number")).collect();
    let half = COST * 75 / 100 / 2;
    assert_eq!(earned, [half, half]);
    assert_eq!(report["platform_nano_usd"], COST - 2 * half);
    for peer in peers {
        assert_eq!((&peer["ready"], &peer["votes_agreed"]), (&true.into(), &1.into()), "{peer}");
    }

    let (status, page) = world.admin("GET", "/admin/v1/settlements?after=0", Vec::new()).await;
    assert_eq!(status, 200);
    let executions = page["executions"].as_array().expect("a list");
    let mut by: Vec<_> = executions.iter().map(|e| e["peer"].as_str().expect("a key").to_owned()).collect();
    by.sort_unstable();
    let mut both = [one.to_string(), two.to_string()];
    both.sort_unstable();
    assert_eq!(by, both);
    assert!(executions.iter().all(|e| e["standing"] == "agreed" && e["task_cost_nano_usd"] == COST));
    world.stop().await.expect("drains");
}

#[tokio::test]
async fn a_lie_is_outvoted_and_earns_nothing() {
    let mut world = World::start().await;
    let module = world.register_kernel().await;
    let liar = world.peer(1, Behaviour::Lying).await;
    for seed in 2..5 {
        world.peer(seed, Behaviour::Honest).await;
    }
    let mut client = world.paying_client(&SecretKey::from_seed(&[9; 32]), 100_000).await;
    for number in 1..=20 {
        client.submit(task(number, module), &number.to_le_bytes());
        let verdict = verdict(&mut client, number).await;
        assert!(matches!(verdict, Verdict::Confirmed { .. } | Verdict::Revoked { .. }), "{verdict:?}");
    }
    client.ask(ClientToServer::CloseSession, &[]).await;
    let report = world.report().await;
    assert_eq!(report["ledger_balanced"], true, "{report}");
    let peers = report["peers"].as_array().expect("a list");
    let lying = peers.iter().find(|peer| peer["id"] == liar.to_string()).expect("known");
    assert_eq!(lying["earned_nano_usd"], 0, "{lying}");
    assert!(lying["votes_outvoted"].as_u64() > Some(0), "{lying}");
    world.stop().await.expect("drains");
}

#[tokio::test]
async fn blobs_go_up_and_come_down_in_chunks() {
    let mut world = World::start().await;
    let mut client = world.client(&SecretKey::from_seed(&[9; 32])).await;
    let bytes: Vec<u8> = (0..600_000u32).map(|n| n.to_le_bytes()[0]).collect();
    let (blob, total_bytes) = (BlobId::of(&bytes), bytes.len() as u64);
    for (number, chunk) in bytes.chunks(256 << 10).enumerate() {
        let offset = (number * (256 << 10)) as u64;
        client.submit(ClientToServer::PutBlob { blob, total_bytes, offset }, chunk);
    }
    assert_eq!(client.next().await.0, ServerToClient::BlobStored { blob });
    let mut back = Vec::new();
    while back.len() < bytes.len() {
        let fetch = Fetch { item: Item::Blob(blob), offset: back.len() as u64 };
        client.sender.send(&ClientToServer::Fetch(fetch), &[]).expect("sent");
        let (answer, chunk) = client.next().await;
        let ServerToClient::Chunk(head) = answer else { panic!("{answer:?}") };
        assert_eq!((head.offset, head.total_bytes), (back.len() as u64, total_bytes));
        assert!(!chunk.is_empty());
        back.extend_from_slice(&chunk);
    }
    assert_eq!(back, bytes);

    let unknown = Item::Blob(BlobId::of(b"never seen"));
    client.sender.send(&ClientToServer::Fetch(Fetch { item: unknown, offset: 0 }), &[]).expect("sent");
    let (answer, chunk) = client.next().await;
    assert!(matches!(answer, ServerToClient::Chunk(head) if head.total_bytes == 0), "absent");
    assert!(chunk.is_empty());

    let wrong = BlobId::of(b"something else");
    let answer = client.ask(ClientToServer::PutBlob { blob: wrong, total_bytes: 3, offset: 0 }, b"abc").await;
    let ServerToClient::BlobRefused { blob, code, message } = answer else { panic!("{answer:?}") };
    assert_eq!((blob, code), (wrong, Refusal::Protocol));
    assert!(message.contains(&format!("announced was {wrong}")), "{message}");
    world.stop().await.expect("drains");
}

#[tokio::test]
async fn a_kernel_can_be_asked_for_and_fetched() {
    let mut world = World::start().await;
    let module = world.register_kernel().await;
    let mut client = world.client(&SecretKey::from_seed(&[9; 32])).await;
    let answer = client.ask(ClientToServer::QueryKernel { module }, &[]).await;
    let ServerToClient::Kernel(info) = answer else { panic!("{answer:?}") };
    assert_eq!((info.name.as_str(), info.unit.as_str(), info.rate.nano_usd()), ("echo", "byte", RATE));
    let fetch = Fetch { item: Item::Kernel(module), offset: 0 };
    client.sender.send(&ClientToServer::Fetch(fetch), &[]).expect("sent");
    let (_, bytes) = client.next().await;
    assert_eq!(p2c2r_signing::ModuleId::of(&bytes), module);
    world.stop().await.expect("drains");
}

//! What was fetched once is not fetched again, in this run or the next.

use p2c2r_protocol::message::{Item, PeerToServer};

use crate::coordinator::Coordinator;
use crate::kernels;
use crate::running::Setup;

#[tokio::test]
async fn fetched_once_even_if_asked_for_at_once_and_after_a_restart() {
    let (mut host, setup) = (Coordinator::new().await, Setup::new());
    let module = host.serve_kernel(kernels::blob_head(&setup.publisher));
    let blob = host.serve_blob(vec![7; 300_000]);
    let peer = setup.start(&host);
    let mut conn = host.accept().await;
    for attempt in 1..=4 {
        conn.assign(attempt, module, &[blob], b"");
    }
    for _ in 1..=4 {
        let (message, output) = conn.answer(&host).await;
        assert!(matches!(message, PeerToServer::Result { .. }), "{message:?}");
        assert_eq!(output, [7; 8][..]);
    }
    assert_eq!(conn.fetched, [Item::Kernel(module), Item::Blob(blob)]);
    peer.stop().await.unwrap().unwrap();

    let peer = setup.start(&host);
    let mut conn = host.accept().await;
    conn.assign(5, module, &[blob], b"");
    loop {
        // Unsettled results of the first run come as well.
        if let (PeerToServer::Result { ticket, .. }, _) = conn.answer(&host).await
            && ticket == vec![5; 16]
        {
            break;
        }
    }
    assert!(conn.fetched.is_empty());
    peer.stop().await.unwrap().unwrap();

    // A file that rotted on disk is noticed and fetched again.
    let file = setup.dir.path().join("cache/blobs").join(format!("{blob}.blob"));
    std::fs::write(&file, vec![8; 300_000]).unwrap();
    let peer = setup.start(&host);
    let mut conn = host.accept().await;
    conn.assign(6, module, &[blob], b"");
    loop {
        if let (PeerToServer::Result { ticket, .. }, output) = conn.answer(&host).await
            && ticket == vec![6; 16]
        {
            assert_eq!(output, [7; 8][..]);
            break;
        }
    }
    assert_eq!(conn.fetched, [Item::Blob(blob)]);
    peer.stop().await.unwrap().unwrap();
}

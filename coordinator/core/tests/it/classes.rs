//! Which class a task runs in. Votes compare only inside one, so of its task nobody outside is asked anything.

use p2c2r_core::{ConnId, MarketConfig};
use p2c2r_protocol::message::{OfferedClass, Refusal, ServerToClient};

use crate::fixture::{Desk, cpu, exact, exact_manifest, gpu, gpu_manifest, plain, submit_of};

/// Kernels: one that has a CPU path besides its shaders, one that has not, and one whose shaders are exact.
const EITHER: u8 = 2;
const DEVICE: u8 = 3;
const EXACT: u8 = 4;

/// Peers with a slot each, and a client.
fn desk(config: MarketConfig, peers: &[(u8, &[OfferedClass])]) -> (Desk, ConnId) {
    let mut desk = Desk::new(config);
    desk.kernel(EITHER, gpu_manifest(true));
    desk.kernel(DEVICE, gpu_manifest(false));
    desk.kernel(EXACT, exact_manifest(true));
    for (n, classes) in peers {
        desk.peer_of(*n, 1, classes);
    }
    let client = desk.client(1, 0, 100_000);
    desk.heard();
    (desk, client)
}

#[test]
fn a_kernel_with_shaders_goes_to_gpus_and_to_cpus_only_if_it_can() {
    let (mut desk, client) = desk(plain(), &[(2, &[cpu(1)]), (3, &[cpu(1), exact(7)]), (4, &[cpu(1), exact(7)])]);
    desk.client_says(client, submit_of(EITHER, 0, 2));
    assert_eq!(desk.jobs().len(), 2, "the CPU path is as good");
    desk.client_says(client, submit_of(DEVICE, 1, 2));
    assert!(matches!(desk.heard()[..], [ServerToClient::TaskRefused { number: 1, code: Refusal::NoPeers, .. }]));
    for n in 5..=6 {
        desk.peer_of(n, 1, &[cpu(1), gpu(9)]);
    }
    desk.client_says(client, submit_of(EITHER, 2, 2));
    assert!(desk.jobs().iter().all(|(conn, job)| conn.0 >= 105 && job.class == gpu(9).class));
}

#[test]
fn exact_shaders_go_to_their_own_class_wherever_they_run() {
    // Neither the kernel's own CPU path nor an adapter's numeric class will do.
    let (mut desk, client) = desk(plain(), &[(2, &[cpu(1)]), (3, &[cpu(1)]), (5, &[cpu(1), gpu(9)])]);
    desk.client_says(client, submit_of(EXACT, 0, 2));
    assert!(matches!(desk.heard()[..], [ServerToClient::TaskRefused { number: 0, code: Refusal::NoPeers, .. }]));
    // One has an adapter, the other has not.
    desk.peer_of(6, 1, &[cpu(1), exact(7), gpu(9)]);
    desk.peer_of(7, 1, &[cpu(1), exact(7)]);
    desk.client_says(client, submit_of(EXACT, 1, 2));
    let jobs = desk.jobs();
    assert_eq!(jobs.len(), 2);
    assert!(jobs.iter().all(|(_, job)| job.class == exact(7).class));
}

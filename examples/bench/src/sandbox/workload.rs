//! What runs on both sides: four loops, and the three kernels we ship.

use anyhow::{Result, ensure};
use bytes::Bytes;
use kernel_loops::{Loop, Work};
use kernel_raytrace::{Frame, Mesh, Scene};
use p2c2r_guest::testing::{Host, Outcome, Report};
use p2c2r_runtime::Attempt;
use p2c2r_signing::BlobId;

/// A task for a kernel, and the same kernel natively.
pub(super) struct Workload {
    /// Of the row.
    pub(super) name: &'static str,
    /// File of the module, without its ending.
    pub(super) kernel: &'static str,
    /// Bytes of the input, and of blob 0 if there is one.
    pub(super) attempt: Attempt,
    /// Identities of its blobs.
    pub(super) blobs: Vec<BlobId>,
    native: fn(Host) -> Report,
}

/// All of them. Each takes some tens of milliseconds, so that starting it is noise.
pub(super) fn all() -> Result<Vec<Workload>> {
    let loops = [
        ("f64", Work { on: Loop::Bodies, rounds: 500 }),
        ("integer", Work { on: Loop::Hash, rounds: 500 }),
        ("simd", Work { on: Loop::Matrix, rounds: 50 }),
        ("memory", Work { on: Loop::Table, rounds: 20 }),
    ];
    let mut all = Vec::new();
    for (name, work) in loops {
        all.push(Workload::new(name, "loops", work.input()?, None, |host| host.run(kernel_loops::loops)));
    }
    let town = kernel_npc::scenario(7, 256);
    let input = town.input()?;
    all.push(Workload::new("npc", "npc", input, Some(town.blob()), |host| host.run(kernel_npc::npc)));
    let pile = kernel_physics::pile(200, 60).input()?;
    all.push(Workload::new("physics", "physics", pile, None, |host| host.run(kernel_physics::physics)));
    let frame = Frame::studio(96, 64, 4).all_rows().to_bytes();
    let scene = Scene::studio(&Mesh::procedural()).to_bytes();
    all.push(Workload::new("raytrace", "raytrace", frame, Some(scene), |host| host.run(kernel_raytrace::raytrace)));
    Ok(all)
}

impl Workload {
    fn new(
        name: &'static str,
        kernel: &'static str,
        input: Vec<u8>,
        blob: Option<Vec<u8>>,
        native: fn(Host) -> Report,
    ) -> Self {
        let blobs = blob.iter().map(|blob| BlobId::of(blob)).collect();
        let attempt = Attempt { blobs: blob.into_iter().map(Bytes::from).collect(), ..Attempt::new(input) };
        Self { name, kernel, attempt, blobs, native }
    }

    /// A native host with input and blob.
    pub(super) fn host(&self) -> Host {
        let host = Host::new().input(&*self.attempt.input);
        self.attempt.blobs.iter().fold(host, |host, blob| host.blob(&**blob))
    }

    /// Runs it natively; the output.
    pub(super) fn run(&self, host: Host) -> Result<Vec<u8>> {
        let report = (self.native)(host);
        ensure!(report.outcome == Outcome::Output, "{} natively: {:?}", self.name, report.outcome);
        Ok(report.output)
    }
}

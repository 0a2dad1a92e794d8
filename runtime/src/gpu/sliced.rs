//! Slices on a device: whatever their size, the same bytes; and between two of them an attempt can end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use p2c2r_abi::status;
use p2c2r_signing::{Manifest, ResultClass, SecretKey, TrustedKeys, attach, manifest, sign_module, verify_module};

use super::adapter::Gpu;
use super::attempt::GpuAttempt;
use super::fault::{GpuFault, GpuStop};
use super::limits::{SLICE, SLICE_FIRST, SLICE_GROWTH};
use super::pipeline::Shaders;
use super::session::GpuSession;
use super::until::Until;

const PATIENCE: Duration = Duration::from_secs(60);
const ROOMY: manifest::Gpu =
    manifest::Gpu { buffers: 4, buffer_bytes: 1 << 20, dispatches: 100, workgroups: 1 << 20, cpu_path: false };

/// An adapter and this shader on it, in slices of so many workgroups.
fn prepared(wgsl: &str, slices_of: u64) -> Option<(Gpu, Shaders)> {
    let gpu = Gpu::here()?;
    let shaders = shaders(&gpu, wgsl, slices_of);
    Some((gpu, shaders))
}

fn shaders(gpu: &Gpu, wgsl: &str, slices_of: u64) -> Shaders {
    let shaders = unfixed(gpu, wgsl);
    shaders.on(&gpu.device().unwrap()).unwrap().slices_of(slices_of);
    shaders
}

/// In slices that follow what is measured.
fn unfixed(gpu: &Gpu, wgsl: &str) -> Shaders {
    let json = br#"{"name":"t","version":"0.1.0","abi":1,"publisher":"t","unit":"u",
        "gpu":{"buffers":4,"buffer_bytes":1048576,"dispatches":100,"workgroups":1048576}}"#;
    let manifest = Manifest { result_class: ResultClass::Device, ..Manifest::from_json(json).unwrap() };
    let unsigned = attach(b"\0asm\x01\0\0\0", &manifest, &[("main".to_owned(), wgsl.to_owned())]).unwrap();
    let key = SecretKey::generate();
    let module = verify_module(sign_module(&unsigned, &key).unwrap(), &TrustedKeys::from(key.public())).unwrap();
    gpu.prepare(&module).unwrap()
}

/// What `main` leaves of `words` zeros.
fn run(gpu: &Gpu, shaders: &Shaders, groups: [u32; 3], words: usize) -> Vec<u8> {
    let mut session = GpuSession::new(gpu, shaders, &ROOMY, Instant::now() + PATIENCE).unwrap();
    let buffer = session.buf_create(words as i64 * 4).unwrap();
    // Twice: what the shader was told last is not what it must be told first.
    for _ in 0..2 {
        assert_eq!(session.dispatch(b"main", groups, &[(0, buffer)]), Ok(status::OK));
    }
    let mut bytes = vec![0; words * 4];
    assert_eq!(session.buf_read(buffer, 0, &mut bytes), Ok(status::OK));
    bytes
}

/// Writes everything an invocation can know about its place, to a place of its own.
fn every_built_in(size: &str, loops: bool) -> String {
    let looped = if loops { "for (var n = 0u; n < id.x % 5u; n++) { words[at] += n; }" } else { "" };
    format!(
        "@group(0) @binding(0) var<storage, read_write> words: array<u32>;
         struct Place {{ @builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32> }}
         var<workgroup> total: atomic<u32>;
         @compute @workgroup_size({size}) fn main(
             place: Place,
             @builtin(global_invocation_id) id: vec3<u32>,
             @builtin(local_invocation_index) i: u32,
             @builtin(num_workgroups) groups: vec3<u32>,
         ) {{
             let size = vec3<u32>({size});
             atomicAdd(&total, id.x + id.y * 3u + id.z * 5u);
             workgroupBarrier();
             let all = groups * size;
             let at = (id.x + all.x * (id.y + all.y * id.z)) * 16u;
             words[at] += 1u;
             words[at + 1u] = id.x; words[at + 2u] = id.y; words[at + 3u] = id.z;
             words[at + 4u] = place.group.x; words[at + 5u] = place.group.y; words[at + 6u] = place.group.z;
             words[at + 7u] = place.local.x; words[at + 8u] = place.local.y; words[at + 9u] = place.local.z;
             words[at + 10u] = groups.x; words[at + 11u] = groups.y; words[at + 12u] = groups.z;
             words[at + 13u] = i; words[at + 14u] = atomicLoad(&total);
             {looped}
         }}"
    )
}

#[test]
fn every_size_of_slices_gives_the_same_bytes() {
    for (size, loops, groups) in [
        ("4, 1, 1", false, [13, 1, 1]),
        ("4, 1, 1", true, [1, 11, 1]),
        ("2, 3, 1", true, [5, 4, 1]),
        ("1, 1, 4", false, [1, 1, 9]),
        ("2, 2, 2", true, [3, 4, 5]),
        ("8, 2, 1", true, [2, 3, 1]),
    ] {
        let wgsl = every_built_in(size, loops);
        let Some((gpu, whole)) = prepared(&wgsl, u64::MAX) else { return };
        let sides: Vec<u32> = size.split(", ").map(|n| n.parse().unwrap()).collect();
        let words = (groups.iter().chain(&sides).product::<u32>() * 16) as usize;
        let want = run(&gpu, &whole, groups, words);
        for (at, record) in (0u32..).zip(want.chunks_exact(64)) {
            let record: Vec<u32> =
                record.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
            let (x, y) = (groups[0] * sides[0], groups[1] * sides[1]);
            let id = [at % x, at / x % y, at / (x * y)];
            let group: [u32; 3] = std::array::from_fn(|axis| id[axis] / sides[axis]);
            let local: [u32; 3] = std::array::from_fn(|axis| id[axis] % sides[axis]);
            let lane = (local[2] * sides[1] + local[1]) * sides[0] + local[0];
            let told = [id, group, local, groups].concat();
            assert_eq!((&record[1..13], record[13]), (&told[..], lane), "{size} x {groups:?}, invocation {at}");
        }
        for slices_of in [1, 2, 7, 20] {
            let got = run(&gpu, &shaders(&gpu, &wgsl, slices_of), groups, words);
            assert!(got == want, "{size} x {groups:?} in slices of {slices_of}");
        }
    }
}

#[test]
fn sums_over_all_workgroups_are_the_same() {
    let wgsl = "@group(0) @binding(0) var<storage, read_write> words: array<atomic<u32>>;
        @compute @workgroup_size(8) fn main(@builtin(local_invocation_index) i: u32) { atomicAdd(&words[i], i + 1u); }";
    let Some((gpu, whole)) = prepared(wgsl, u64::MAX) else { return };
    let want = run(&gpu, &whole, [7, 3, 2], 8);
    assert_eq!(want[..4], 84u32.to_le_bytes());
    for slices_of in [1, 2, 7, 21] {
        assert_eq!(run(&gpu, &shaders(&gpu, wgsl, slices_of), [7, 3, 2], 8), want, "slices of {slices_of}");
    }
}

/// The first slice of a shader is small. Each after it has as many workgroups as what was measured before it allows, whatever that
/// was: a slow adapter takes a second for this, and cuts it to pieces.
#[test]
fn a_dispatch_is_cut_as_it_was_measured() {
    const GROUPS: u32 = 40;
    let wgsl = "@group(0) @binding(0) var<storage, read_write> words: array<u32>;
        @compute @workgroup_size(64) fn main(@builtin(local_invocation_index) i: u32) {
            for (var n = 0u; n < 50000u; n++) {
                words[i] = words[i] * 1664525u + 1013904223u;
                if words[i] == 0x12345678u && words[0] == 0x9abcdef0u && words[1] == 3u { break; }
            }
        }";
    let Some(gpu) = Gpu::here() else { return };
    let shaders = unfixed(&gpu, wgsl);
    let mut session = GpuSession::new(&gpu, &shaders, &ROOMY, Instant::now() + PATIENCE).unwrap();
    let buffer = session.buf_create(256).unwrap();
    assert_eq!(session.dispatch(b"main", [GROUPS, 1, 1], &[(0, buffer)]), Ok(status::OK));
    assert_eq!(session.buf_read(buffer, 0, &mut [0; 4]), Ok(status::OK));
    let compiled = shaders.on(&gpu.device().unwrap()).unwrap();
    let slices = compiled.pipeline(0).unwrap().pace().learned.clone();
    assert_eq!(slices.iter().map(|(workgroups, ..)| workgroups).sum::<u64>(), u64::from(GROUPS));
    assert_eq!(slices[0].0, SLICE_FIRST);
    let (_, before) = slices.split_last().unwrap();
    assert!(before.iter().any(|(.., waited)| *waited), "50,000 iterations are done at once");
    let mut most = SLICE_FIRST;
    for (workgroups, took, waited) in slices {
        assert!(workgroups <= most, "{workgroups} workgroups, at most {most}");
        assert!(took > Duration::ZERO);
        match took <= SLICE {
            true => most = most.max(workgroups * SLICE_GROWTH),
            false if waited => most = (u128::from(workgroups) * SLICE.as_nanos() / took.as_nanos()).max(1) as u64,
            false => {}
        }
    }
}

/// Counts the workgroups that ran, and traps in the one that comes `n`th.
fn trapping(n: u32) -> String {
    format!(
        "@group(0) @binding(0) var<storage, read_write> words: array<u32>;
         @compute @workgroup_size(1) fn main(@builtin(workgroup_id) id: vec3<u32>) {{
             words[0] += 1u;
             if id.x == {n}u {{ loop {{ words[1] = words[1] * 3u + 1u; if words[1] == 0u {{ break; }} }} }}
         }}"
    )
}

#[test]
fn a_trap_ends_a_dispatch_at_the_next_slice() {
    let Some((gpu, shaders)) = prepared(&trapping(3), 2) else { return };
    let mut session = GpuSession::new(&gpu, &shaders, &ROOMY, Instant::now() + PATIENCE).unwrap();
    let buffer = session.buf_create(8).unwrap();
    // In slices of two it would take hours; the guest is told nothing, as after a whole one.
    assert_eq!(session.dispatch(b"main", [65_535, 1, 1], &[(0, buffer)]), Ok(status::OK));
    assert_eq!(session.dispatch(b"main", [65_535, 1, 1], &[(0, buffer)]), Ok(status::OK));
    assert_eq!(session.buf_read(buffer, 0, &mut [0; 4]), Err(GpuStop::Trap));
    assert_eq!(session.trace(), Err(GpuStop::Trap));
}

#[test]
fn a_dispatch_is_called_off_between_slices() {
    let Some((gpu, shaders)) = prepared(&trapping(u32::MAX), 1) else { return };
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let until = Until::deadline_or(Instant::now() + PATIENCE, move || counted.fetch_add(1, Ordering::Relaxed) > 100);
    let mut session = GpuSession::new(&gpu, &shaders, &ROOMY, until).unwrap();
    let buffer = session.buf_create(8).unwrap();
    assert_eq!(session.dispatch(b"main", [65_535, 1, 1], &[(0, buffer)]), Err(GpuFault::Cancelled));
    assert!(asked.load(Ordering::Relaxed) > 100);
    drop(session);
    // The device is as good as before.
    let mut next = GpuSession::new(&gpu, &shaders, &ROOMY, Instant::now() + PATIENCE).unwrap();
    let buffer = next.buf_create(8).unwrap();
    assert_eq!(next.dispatch(b"main", [3, 1, 1], &[(0, buffer)]), Ok(status::OK));
    let mut words = [0; 4];
    assert_eq!(next.buf_read(buffer, 0, &mut words), Ok(status::OK));
    assert_eq!(words, 3u32.to_le_bytes());
    assert_eq!(gpu.device().unwrap().generation(), 1);
}

#[test]
fn a_dispatch_ends_at_the_deadline_between_slices() {
    let Some((gpu, shaders)) = prepared(&trapping(u32::MAX), 1) else { return };
    let mut session = GpuSession::new(&gpu, &shaders, &ROOMY, Instant::now() + Duration::from_millis(100)).unwrap();
    let fault = match session.buf_create(8) {
        Ok(buffer) => session.dispatch(b"main", [65_535, 1, 1], &[(0, buffer)]).map(drop),
        late => late.map(drop),
    };
    assert_eq!(fault, Err(GpuFault::Deadline));
    drop(session);
    assert_eq!(gpu.device().unwrap().generation(), 1, "one slice is soon done");
}

//! What becomes of lost devices, of calls that fail, and of what an adapter was found to be.

use std::time::{Duration, Instant};

use p2c2r_signing::{Manifest, SecretKey, TrustedKeys, attach, manifest, sign_module, verify_module};

use super::*;
use crate::gpu::{GpuAttempt, GpuSession, Shaders};

impl Gpu {
    /// The machine's adapter, or `None` after printing SKIPPED. One that is there and does not open is a failure, and with
    /// `P2C2R_REQUIRE_GPU` set so is none at all.
    pub(crate) fn here() -> Option<Self> {
        match Self::open(GpuOptions::default()) {
            Ok(gpu) => Some(gpu),
            Err(error @ GpuOpenError::NoAdapter { .. }) if std::env::var_os("P2C2R_REQUIRE_GPU").is_none() => {
                eprintln!("SKIPPED: {error}");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// As if the suite had found something else. There are no clones.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut GpuInfo)) {
        change(&mut Arc::get_mut(&mut self.inner).unwrap().info);
    }
}

const ONE: manifest::Gpu = manifest::Gpu { buffers: 1, buffer_bytes: 4, dispatches: 1, workgroups: 1, cpu_path: false };

/// An adapter, and a shader that writes 7.
fn seven() -> Option<(Gpu, Shaders)> {
    let gpu = Gpu::here()?;
    let json = br#"{"name":"t","version":"0.1.0","abi":1,"publisher":"t","unit":"u","result_class":"device",
        "gpu":{"buffers":1,"buffer_bytes":4,"dispatches":1,"workgroups":1}}"#;
    let wgsl = "@group(0) @binding(0) var<storage, read_write> w: array<u32>;
        @compute @workgroup_size(1) fn main() { w[0] = 7u; }";
    let shaders = [("seven".to_owned(), wgsl.to_owned())];
    let unsigned = attach(b"\0asm\x01\0\0\0", &Manifest::from_json(json).unwrap(), &shaders).unwrap();
    let key = SecretKey::generate();
    let signed = sign_module(&unsigned, &key).unwrap();
    let module = verify_module(signed, &TrustedKeys::from(key.public())).unwrap();
    let shaders = gpu.prepare(&module).unwrap();
    Some((gpu, shaders))
}

fn open(gpu: &Gpu, shaders: &Shaders) -> GpuSession {
    GpuSession::new(gpu, shaders, &ONE, Instant::now() + Duration::from_secs(60)).unwrap()
}

/// Checks that a session of its own computes, on a device of this generation.
fn computes(gpu: &Gpu, shaders: &Shaders, generation: u64) {
    let mut session = open(gpu, shaders);
    assert_eq!(gpu.device().unwrap().generation(), generation);
    let buffer = session.buf_create(4).unwrap();
    assert_eq!(session.dispatch(b"seven", [1, 1, 1], &[(0, buffer)]), Ok(0));
    let mut word = [0; 4];
    assert_eq!(session.buf_read(buffer, 0, &mut word), Ok(0));
    assert_eq!(word, [7, 0, 0, 0]);
}

/// Waits for the driver: lavapipe does not bear that a process ends while a device is released.
fn release(gpu: &Gpu) {
    while gpu.inner.abandoned.0.load(Ordering::Acquire) > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn a_lost_device_ends_its_sessions_and_is_replaced() {
    let Some((gpu, shaders)) = seven() else { return };
    computes(&gpu, &shaders, 1);
    for generation in 2..=4 {
        let mut session = open(&gpu, &shaders);
        let buffer = session.buf_create(4).unwrap();
        gpu.device().unwrap().give_up("pulled out");
        let lost = GpuFault::Lost("pulled out".to_owned());
        assert_eq!(session.buf_create(4), Err(lost.clone()));
        assert_eq!(session.buf_read(buffer, 0, &mut [0; 4]), Err(lost.clone().into()));
        assert_eq!(session.trace(), Err(lost.into()));
        drop(session);
        computes(&gpu, &shaders, generation);
    }
    release(&gpu);
}

#[test]
fn a_device_that_wgpu_reports_as_lost_is_lost() {
    let Some((gpu, shaders)) = seven() else { return };
    let mut session = open(&gpu, &shaders);
    let buffer = session.buf_create(4).unwrap();
    // The call that finds out may still succeed.
    let _ = gpu.device().unwrap().guarded(|device, _| {
        device.destroy();
        device.poll(wgpu::PollType::Poll)
    });
    let lost = session.dispatch(b"seven", [1, 1, 1], &[(0, buffer)]);
    assert!(matches!(&lost, Err(GpuFault::Lost(reason)) if reason.contains("estroyed")), "{lost:?}");
    drop(session);
    computes(&gpu, &shaders, 2);
    release(&gpu);
}

#[test]
fn what_fails_one_call_ends_one_attempt() {
    let Some((gpu, shaders)) = seven() else { return };
    for fault in [GpuFault::OutOfMemory, GpuFault::Refused("for a test".to_owned())] {
        let mut session = open(&gpu, &shaders);
        *gpu.device().unwrap().inject.lock().unwrap() = Some(fault.clone());
        assert_eq!(session.buf_create(4), Err(fault));
        drop(session);
        computes(&gpu, &shaders, 1);
    }
}

#[test]
fn what_an_attempt_leaves_is_cleared_for_the_next() {
    let Some((gpu, shaders)) = seven() else { return };
    let ends: [fn(&mut GpuSession, i32); 5] = [
        |_, _| {},
        |session, buffer| assert_eq!(session.buf_write(buffer, 0, &[9; 4]), Ok(0)),
        |session, buffer| assert_eq!(session.dispatch(b"seven", [1, 1, 1], &[(0, buffer)]), Ok(0)),
        |session, buffer| {
            assert_eq!(session.dispatch(b"seven", [1, 1, 1], &[(0, buffer)]), Ok(0));
            session.flush().unwrap();
        },
        |session, buffer| {
            assert_eq!(session.dispatch(b"seven", [1, 1, 1], &[(0, buffer)]), Ok(0));
            assert_eq!(session.buf_read(buffer, 0, &mut [0; 4]), Ok(0));
        },
    ];
    let device = gpu.device().unwrap();
    for (attempt, end) in ends.iter().chain(&ends).enumerate() {
        assert_eq!(device.spare_buffers(), attempt.min(1));
        let mut session = open(&gpu, &shaders);
        let buffer = session.buf_create(4).unwrap();
        assert_eq!(device.spare_buffers(), 0, "it is taken");
        let mut word = [1; 4];
        assert_eq!(session.buf_read(buffer, 0, &mut word), Ok(0));
        assert_eq!(word, [0; 4], "attempt {attempt}");
        end(&mut session, buffer);
    }
}

/// What wgpu holds because it cannot let go of it yet is bounded, whatever an attempt moves.
#[test]
fn heavy_traffic_settles_instead_of_piling_up() {
    const BYTES: u64 = 16 << 20;
    let Some((gpu, shaders)) = seven() else { return };
    let roomy = manifest::Gpu { buffers: 2, buffer_bytes: 2 * BYTES, ..ONE };
    let mut session = GpuSession::new(&gpu, &shaders, &roomy, Instant::now() + Duration::from_secs(60)).unwrap();
    let device = gpu.device().unwrap();
    // Not every backend tells.
    let held = || {
        device.guarded(|device, _| device.generate_allocator_report()).unwrap().map_or(0, |r| r.total_allocated_bytes)
    };
    let (before, submissions) = (held(), device.submissions());
    let megabytes = vec![3; BYTES as usize];
    // Six times what may be unsettled, as uploads and as drops.
    for _ in 0..12 {
        let buffer = session.buf_create(BYTES as i64).unwrap();
        assert!(buffer > 0);
        assert_eq!(session.buf_write(buffer, 0, &megabytes), Ok(0));
        assert_eq!(session.buf_drop(buffer), Ok(0));
        assert!(held() <= before + limits::UNSETTLED_BYTES + (1 << 20), "{} bytes, at first {before}", held());
    }
    assert!(device.submissions() - submissions >= 5, "nothing else makes it wait");
}

#[test]
fn what_wgpu_reports_is_a_fault_of_the_call() {
    let error = || wgpu::ErrorSource::from("source");
    let words = || "words".to_owned();
    for (error, fault) in [
        (wgpu::Error::OutOfMemory { source: error() }, GpuFault::OutOfMemory),
        (wgpu::Error::Validation { source: error(), description: words() }, GpuFault::Refused(words())),
        (wgpu::Error::Internal { source: error(), description: words() }, GpuFault::Refused(words())),
    ] {
        assert_eq!(GpuFault::from(error), fault);
    }
}

#[test]
fn what_wgpu_refuses_ends_one_attempt() {
    let Some((gpu, shaders)) = seven() else { return };
    let device = gpu.device().unwrap();
    // No adapter gives more than the fixed limits.
    let refused = device.buffer(limits::BUFFER_BYTES + 4).map(drop);
    assert!(matches!(&refused, Err(GpuFault::Refused(why)) if why.contains("134217732")), "{refused:?}");
    let given = device.guarded(|device, _| (device.limits(), device.features())).unwrap();
    assert_eq!(given, (fixed_limits(), wgpu::Features::empty()));
    computes(&gpu, &shaders, 1);
}

#[test]
fn a_panic_in_the_graphics_layer_costs_the_device() {
    let Some((gpu, shaders)) = seven() else { return };
    let mut session = open(&gpu, &shaders);
    let lost = GpuFault::Lost("a bug for a test".to_owned());
    assert_eq!(gpu.device().unwrap().guarded(|_, _| panic!("a bug for a test")), Err::<(), _>(lost.clone()));
    assert_eq!(session.buf_create(4), Err(lost));
    drop(session);
    computes(&gpu, &shaders, 2);
    release(&gpu);
}

#[test]
fn so_many_devices_may_be_abandoned_and_no_more() {
    let Some((gpu, shaders)) = seven() else { return };
    let abandoned = &gpu.inner.abandoned.0;
    for (generation, stuck) in [(2, limits::ABANDONED_DEVICES - 1), (3, limits::ABANDONED_DEVICES)] {
        let device = gpu.device().unwrap();
        device.give_up("pulled out");
        // Never released, and counted below.
        std::mem::forget(device);
        abandoned.store(stuck, Ordering::Release);
        match gpu.device() {
            Ok(device) => assert_eq!((device.generation(), stuck), (generation, limits::ABANDONED_DEVICES - 1)),
            Err(GpuFault::Unavailable(why)) => {
                assert!(stuck == limits::ABANDONED_DEVICES && why.contains("busy"), "{why}")
            }
            Err(other) => panic!("{other}"),
        }
    }
    abandoned.store(0, Ordering::Release);
    // The one that did not open has a number too.
    computes(&gpu, &shaders, 4);
}

#[test]
fn another_driver_is_not_taken_for_the_one_that_was_probed() {
    let Some((mut gpu, shaders)) = seven() else { return };
    let device = gpu.device().unwrap();
    device.give_up("reset");
    std::mem::forget(device);
    // The adapter at hand gives no device, so that it is looked for.
    gpu.inner.abandoned.0.store(limits::ABANDONED_DEVICES, Ordering::Release);
    Arc::get_mut(&mut gpu.inner).unwrap().about.driver_info.push_str(" of last year");
    let fault = gpu.device().map(drop).unwrap_err();
    assert!(
        matches!(&fault, GpuFault::Unavailable(why) if why.contains("changed") && why.contains("of last year")),
        "{fault}"
    );
    let session = GpuSession::new(&gpu, &shaders, &ONE, Instant::now() + Duration::from_secs(60));
    assert_eq!(session.map(drop).unwrap_err(), fault);
}

fn about() -> wgpu::AdapterInfo {
    wgpu::AdapterInfo::new(wgpu::DeviceType::DiscreteGpu, wgpu::Backend::Vulkan)
}

#[test]
fn a_class_is_of_one_model_one_driver_and_the_bits_of_its_probes() {
    let changes: [fn(&mut wgpu::AdapterInfo); 6] = [
        |about| about.name.push('x'),
        |about| about.driver.push('x'),
        |about| about.driver_info.push('x'),
        |about| about.vendor = 1,
        |about| about.device = 1,
        |about| about.backend = wgpu::Backend::Dx12,
    ];
    let changed = changes.map(|change| {
        let mut about = about();
        change(&mut about);
        class(&about, &[1, 2])
    });
    let mut classes: Vec<Digest> = [&[1, 2][..], &[1], &[1, 3], &[0, 2]].map(|words| class(&about(), words)).to_vec();
    classes.extend(changed);
    for (at, class) in classes.iter().enumerate() {
        assert!(!classes[..at].contains(class), "{at}");
    }
    // Two cards of one model are of one class.
    let other_slot = wgpu::AdapterInfo { device_pci_bus_id: "0000:02:00.0".to_owned(), ..about() };
    assert_eq!(class(&other_slot, &[1, 2]), classes[0]);
}

#[test]
fn the_translator_is_the_one_in_the_lock_file() {
    let lock = include_str!("../../../../Cargo.lock");
    let wanted = format!("name = \"naga\"\nversion = \"{NAGA_VERSION}\"");
    assert!(lock.contains(&wanted), "change NAGA_VERSION with the dependency");
    assert_eq!(lock.matches("name = \"naga\"\n").count(), 1, "one naga only");
}

#[test]
fn loops_count_for_exact_and_floats_for_device() {
    for (loops, floats, exact, device) in
        [(true, true, true, true), (false, true, false, true), (true, false, true, false), (false, false, false, false)]
    {
        let probed = Probed {
            words: vec![1],
            long_loops: true,
            unfit_loops: if loops { vec![] } else { vec!["loops".to_owned()] },
            floats: if floats { Ok(()) } else { Err("floats".to_owned()) },
        };
        let info = info(about(), probed);
        assert_eq!(info.may_vote_on(ResultClass::Exact), exact);
        assert_eq!(info.may_vote_on(ResultClass::Device), device);
        assert_eq!(info.numeric_class, class(&about(), &[1]));
        assert_eq!(info.unfit_floats.as_deref(), (!floats).then_some("floats"));
    }
}

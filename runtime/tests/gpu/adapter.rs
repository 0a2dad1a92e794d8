//! Opening and naming the adapter.

use p2c2r_runtime::gpu::{Gpu, GpuOpenError, GpuOptions};
use p2c2r_signing::ResultClass;

use crate::bench::adapter;

#[test]
fn a_second_open_measures_the_same_class() {
    let Some(first) = adapter() else { return };
    let second = Gpu::open(GpuOptions::default()).unwrap();
    assert_eq!(first.info(), second.info());
    let info = first.info();
    assert!(["vulkan", "metal", "dx12"].contains(&info.backend.as_str()), "{}", info.backend);
    assert!(!info.adapter.is_empty());
}

#[test]
fn lavapipe_is_known_for_its_short_loops() {
    let Some(gpu) = adapter() else { return };
    if gpu.info().adapter.contains("llvmpipe") {
        assert!(gpu.info().software);
        assert!(!gpu.info().long_loops, "loops of 70,000 iterations now work: tell the docs");
        let unfit = gpu.info().unfit_loops.as_slice();
        assert_eq!(unfit.len(), 2, "{unfit:?}: some loops now work, tell the docs");
        assert!(!gpu.info().may_vote_on(ResultClass::Exact));
        assert!(gpu.info().may_vote_on(ResultClass::Device), "{:?}", gpu.info().unfit_floats);
    } else {
        eprintln!("SKIPPED: adapter is {:?}, not lavapipe", gpu.info().adapter);
    }
}

#[test]
fn the_survey_finds_the_adapter_and_the_same_about_it() {
    let Some(gpu) = adapter() else { return };
    let survey = Gpu::survey();
    let found = survey.iter().find(|(name, _)| *name == gpu.info().adapter).unwrap();
    assert_eq!(found.1.as_ref().unwrap(), gpu.info());
}

#[test]
fn software_adapters_can_be_left_out() {
    let Some(gpu) = adapter() else { return };
    match Gpu::open(GpuOptions { software: false, ..GpuOptions::default() }) {
        Ok(hardware) => assert!(!hardware.info().software),
        Err(error) => {
            assert!(gpu.info().software);
            assert!(matches!(error, GpuOpenError::NoAdapter { software_hidden: true, .. }), "{error}");
            assert!(error.to_string().contains("excluded"), "{error}");
        }
    }
}

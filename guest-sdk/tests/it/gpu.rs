//! The GPU half of the API against stand-in shaders.

use p2c2r_guest::testing::{Host, Outcome, run};
use p2c2r_guest::{Context, Failure, GpuError, Postcard};

/// Adds binding 0 to binding 1, four bytes at a time.
fn with_adder() -> Host {
    Host::new().shader("add", |[x, y, z], bound| {
        assert_eq!([x, y, z], [2, 1, 1]);
        let a = bound[&0].clone();
        let b = bound.get_mut(&1).unwrap();
        for (b, a) in b.chunks_exact_mut(4).zip(a.chunks_exact(4)) {
            let sum = u32::from_le_bytes(b.try_into().unwrap()) + u32::from_le_bytes(a.try_into().unwrap());
            b.copy_from_slice(&sum.to_le_bytes());
        }
    })
}

#[test]
fn without_gpu_there_is_none() {
    let report = run(|ctx: &mut Context| Postcard(ctx.gpu().is_some()), []);
    assert!(!report.output_as::<Postcard<bool>>().unwrap().0);
}

#[test]
fn dispatch_works_on_bound_buffers() {
    let report = with_adder().run(|ctx: &mut Context| -> Result<Postcard<Vec<u32>>, Failure> {
        let gpu = ctx.gpu().unwrap();
        let a = gpu.buffer_from(&[1u32, 2, 3])?;
        let b = gpu.buffer::<u32>(3)?;
        b.write(1, &[10, 20])?;
        gpu.dispatch("add", [2, 1, 1], &[a.at(0), b.at(1)])?;
        Ok(Postcard(b.to_vec()?))
    });
    assert_eq!(report.output_as::<Postcard<Vec<u32>>>().unwrap().0, [1, 12, 23]);
    assert_eq!(report.leaked_buffers, 0);
}

#[test]
fn refusals_are_typed() {
    let report = with_adder().run(|ctx: &mut Context| {
        let gpu = ctx.gpu().unwrap();
        let buffer = gpu.buffer::<u32>(2).unwrap();
        assert_eq!(buffer.write(1, &[0, 0]), Err(GpuError::Range { call: "buf_write" }));
        assert_eq!(buffer.read(usize::MAX, &mut [0]), Err(GpuError::Invalid { call: "buf_read" }));
        assert_eq!(gpu.buffer::<u8>(3).map(|_| ()), Err(GpuError::Invalid { call: "buf_create" }));
        assert_eq!(gpu.buffer::<u64>(usize::MAX).map(|_| ()), Err(GpuError::Limit { call: "buf_create" }));
        assert_eq!(gpu.dispatch("sub", [1, 1, 1], &[]), Err(GpuError::NoShader { name: "sub".into() }));
        let twice = gpu.dispatch("add", [2, 1, 1], &[buffer.at(0), buffer.at(0)]);
        assert_eq!(twice, Err(GpuError::Invalid { call: "dispatch" }));
        let none: [u32; 0] = [];
        assert_eq!(gpu.buffer_from(&none).map(|_| ()), Err(GpuError::Invalid { call: "buf_create" }));
        assert_eq!(gpu.buffer::<u32>((128 << 18) + 1).map(|_| ()), Err(GpuError::Limit { call: "buf_create" }));
        let far = gpu.dispatch("add", [1, 65_536, 1], &[buffer.at(0), buffer.at(0)]);
        assert_eq!(far, Err(GpuError::Limit { call: "dispatch" }), "limits come before bindings");
        let failure = Failure::from(GpuError::NoShader { name: "sub".into() });
        assert_eq!(failure.message(), "no shader named \"sub\" in this module");
    });
    assert_eq!(report.outcome, Outcome::Output, "{report:?}");
}

#[test]
fn one_buffer_at_two_bindings_is_only_read() {
    let report = with_adder().run(|ctx: &mut Context| {
        let gpu = ctx.gpu().unwrap();
        let buffer = gpu.buffer_from(&[3u32]).unwrap();
        let doubled = gpu.dispatch("add", [2, 1, 1], &[buffer.at(0), buffer.at(1)]);
        assert_eq!(doubled, Err(GpuError::Invalid { call: "dispatch" }));
        assert_eq!(buffer.to_vec().unwrap(), [3], "and nothing is done");
        assert_eq!(
            doubled.unwrap_err().to_string(),
            "dispatch with bindings or workgroups that do not fit the shader; the attempt's log says which"
        );
        // Adding nothing writes nothing.
        buffer.write(0, &[0]).unwrap();
        gpu.dispatch("add", [2, 1, 1], &[buffer.at(0), buffer.at(1)]).unwrap();
    });
    assert_eq!(report.outcome, Outcome::Output, "{report:?}");
}

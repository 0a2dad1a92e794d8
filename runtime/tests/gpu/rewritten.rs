//! What the rewriting of shaders does on a device.

use std::time::{Duration, Instant};

use p2c2r_abi::status;
use p2c2r_runtime::gpu::limits::{LOOP_FUEL, LOOP_ROUNDS};
use p2c2r_runtime::gpu::{GpuAttempt, GpuSession, GpuStop};
use p2c2r_signing::ResultClass;

use crate::bench::{DOUBLE, PATIENCE, ROOMY, adapter, claiming, filled, module, words};

/// A session on an adapter with one shader, `main` with this body and these functions.
fn with(functions: &str, body: &str) -> Option<GpuSession> {
    let wgsl = format!(
        "@group(0) @binding(0) var<storage, read_write> words: array<u32>;
         {functions}
         @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>,
             @builtin(local_invocation_index) i: u32) {{ {body} }}"
    );
    let gpu = adapter()?;
    let shaders = gpu.prepare(&module(&[("main", &wgsl), ("double", DOUBLE)])).unwrap();
    Some(GpuSession::new(gpu, &shaders, &ROOMY, Instant::now() + PATIENCE).unwrap())
}

#[test]
fn endless_loops_end_in_a_trap() {
    // The condition is one that no compiler can know.
    let forever = "words[i] = words[i] * 1664525u + 1013904223u; if words[i] == 7u && words[0] == 9u { break; }";
    let callee = format!("fn spin(i: u32) -> u32 {{ loop {{ {forever} }} return words[i]; }}");
    for (functions, body) in [
        ("", format!("loop {{ {forever} }}")),
        ("", format!("loop {{ loop {{ {forever} }} if words[1] == 3u {{ break; }} }}")),
        ("", format!("loop {{ for (var k = 0u; k < 3u; k++) {{ {forever} }} if words[1] == 3u {{ break; }} }}")),
        (&*callee, "words[i] = spin(i);".to_owned()),
        (&*callee, "while spin(i) != 3u { }".to_owned()),
        ("", format!("if i == 5u {{ loop {{ {forever} }} }}")),
        ("", "loop { continuing { words[i] += 2u; break if words[i] == 1u; } }".to_owned()),
        // Invocations that are done early wait at the barrier for the one that is cut short.
        ("", format!("if i == 5u {{ loop {{ {forever} }} }} workgroupBarrier(); words[i] = 1u;")),
        ("", "loop { workgroupBarrier(); }".to_owned()),
        ("", format!("loop {{ workgroupBarrier(); if i == 3u {{ loop {{ {forever} }} }} }}")),
    ] {
        let Some(mut s) = with(functions, &body) else { return };
        let buffer = filled(&mut s, &[2; 64]);
        let started = Instant::now();
        assert_eq!(s.dispatch(b"main", [16, 1, 1], &[(0, buffer)]), Ok(status::OK));
        assert_eq!(s.buf_read(buffer, 0, &mut [0; 4]), Err(GpuStop::Trap), "{body}");
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}: {body}", started.elapsed());
        // Once is for ever.
        assert_eq!(s.trace(), Err(GpuStop::Trap));
        assert_eq!(s.buf_read(buffer, 0, &mut []), Ok(status::OK));
    }
}

#[test]
fn a_trap_is_seen_at_the_end_if_nobody_reads() {
    let Some(mut s) = with("", "loop { }") else { return };
    let buffer = filled(&mut s, &[2; 64]);
    assert_eq!(s.dispatch(b"main", [1, 1, 1], &[(0, buffer)]), Ok(status::OK));
    assert_eq!(s.dispatch(b"double", [1, 1, 1], &[(0, buffer)]), Ok(status::OK));
    assert_eq!(s.trace(), Err(GpuStop::Trap));
}

#[test]
fn a_loop_may_use_its_budget_to_the_last() {
    let body = "var n = 0u; for (; n < words[64u + i]; n++) { } words[i] = n;";
    let run = |counts: u32| {
        let mut s = with("", body)?;
        let buffer = filled(&mut s, &[counts; 128]);
        assert_eq!(s.dispatch(b"main", [1, 1, 1], &[(0, buffer)]), Ok(status::OK));
        let mut bytes = [0; 256];
        Some(s.buf_read(buffer, 0, &mut bytes).map(|_| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])))
    };
    if adapter().is_none() {
        return;
    }
    // The look at the condition that ends it is an iteration too.
    assert_eq!(run(LOOP_FUEL - 1), Some(Ok(LOOP_FUEL - 1)));
    assert_eq!(run(LOOP_FUEL), Some(Err(GpuStop::Trap)));
    const { assert!(LOOP_ROUNDS < LOOP_FUEL) };
}

#[test]
fn shifts_are_modulo_32() {
    let Some(mut s) = with("", "words[i] = (1u << words[i]) | u32(i32(0x80000000u) >> (words[i] + 64u));") else {
        return;
    };
    let counts: Vec<u32> = (0..64).collect();
    let buffer = filled(&mut s, &counts);
    assert_eq!(s.dispatch(b"main", [1, 1, 1], &[(0, buffer)]), Ok(status::OK));
    let want: Vec<u32> = counts.iter().map(|n| 1 << (n % 32) | (i32::MIN >> (n % 32)).cast_unsigned()).collect();
    assert_eq!(words(&mut s, buffer, 64), want);
}

#[test]
fn out_of_range_is_zero_and_nothing_everywhere() {
    let body = "
        var local = array<u32, 4>(5u, 6u, 7u, 8u);
        let at = words[i];
        local[at] = 9u;
        let v = vec3<u32>(1u, 2u, 3u);
        words[i] = local[0] * 1000000u + local[3] * 10000u + local[at] * 100u + v[at] * 10u + shared_words[at];";
    let Some(mut s) = with("var<workgroup> shared_words: array<u32, 2>;", body) else { return };
    let buffer = filled(&mut s, &[0, 3, 4, 5, u32::MAX, 1 << 31]);
    assert_eq!(s.dispatch(b"main", [1, 1, 1], &[(0, buffer)]), Ok(status::OK));
    assert_eq!(words(&mut s, buffer, 6), [9_080_910, 5_090_900, 5_080_000, 5_080_000, 5_080_000, 5_080_000]);
}

#[test]
fn division_is_as_wgsl_says() {
    let body = "
        let a = bitcast<i32>(words[0]); let b = bitcast<i32>(words[1]);
        words[2] = bitcast<u32>(a / b); words[3] = bitcast<u32>(a % b);
        words[4] = bitcast<u32>(a / (b + 1)); words[5] = bitcast<u32>(a % (b + 1));
        words[6] = words[0] / (words[1] + 1u); words[7] = words[0] % (words[1] + 1u);
        words[8] = bitcast<u32>(-7 % (b - 2));";
    let Some(mut s) = with("", &format!("if id.x == 0u {{ {body} }}")) else { return };
    let min = 1 << 31;
    let buffer = filled(&mut s, &[min, u32::MAX, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(s.dispatch(b"main", [1, 1, 1], &[(0, buffer)]), Ok(status::OK));
    assert_eq!(words(&mut s, buffer, 9)[2..], [min, 0, min, 0, min, 0, (-1i32).cast_unsigned()]);
}

#[test]
fn what_is_exact_along_x_is_dispatched_along_x() {
    let Some(gpu) = adapter() else { return };
    for (class, want) in [(ResultClass::Exact, status::INVALID), (ResultClass::Device, status::OK)] {
        let shaders = gpu.prepare(&claiming(class, &[("double", DOUBLE)])).unwrap();
        let mut s = GpuSession::new(gpu, &shaders, &ROOMY, Instant::now() + PATIENCE).unwrap();
        let buffer = filled(&mut s, &[1]);
        assert_eq!(s.dispatch(b"double", [1, 1, 1], &[(0, buffer)]), Ok(status::OK));
        assert_eq!(s.dispatch(b"double", [1, 2, 1], &[(0, buffer)]), Ok(want));
        assert_eq!(s.dispatch(b"double", [1, 1, 2], &[(0, buffer)]), Ok(want));
    }
}

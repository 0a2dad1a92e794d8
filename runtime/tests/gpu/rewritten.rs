//! What the rewriting of shaders does on a device.

use std::time::{Duration, Instant};

use p2c2r_abi::status;
use p2c2r_runtime::gpu::limits::{LOOP_FUEL, LOOP_ROUNDS};
use p2c2r_runtime::gpu::{GpuAttempt, GpuSession, GpuStop};
use p2c2r_signing::ResultClass;

use crate::bench::{
    Backend, DOUBLE, PATIENCE, ROOMY, adapter, claiming, filled, module, on_every_backend, session_of, words,
};

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

/// A session with one exact shader, `main` with this body and these functions, on `backend`.
fn exact(backend: Backend, functions: &str, body: &str) -> Box<dyn GpuAttempt> {
    let wgsl = format!(
        "@group(0) @binding(0) var<storage, read_write> words: array<u32>;
         @group(0) @binding(1) var<storage, read> counts: array<u32>;
         {functions}
         @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {{ {body} }}"
    );
    session_of(backend, &[("main", &wgsl), ("double", DOUBLE)], ROOMY)
}

#[test]
fn endless_loops_end_in_a_trap_on_the_reference_too() {
    let forever = "words[id.x] = words[id.x] * 1664525u + 1013904223u; if words[id.x] == 7u { break; }";
    let callee = "fn spin(n: u32) -> u32 { var m = n; loop { m = m * 3u + 1u; if m == 7u { break; } } return m; }";
    on_every_backend(|backend| {
        for (functions, body) in [
            ("", format!("loop {{ {forever} }}")),
            ("", format!("loop {{ loop {{ {forever} }} if words[id.x] == 3u {{ break; }} }}")),
            (callee, "words[id.x] = spin(words[id.x] * 2u);".to_owned()),
            ("", format!("if id.x == 5u {{ loop {{ {forever} }} }} workgroupBarrier(); words[id.x] = 1u;")),
            ("", "loop { workgroupBarrier(); }".to_owned()),
            ("", format!("loop {{ workgroupBarrier(); if id.x == 3u {{ loop {{ {forever} }} }} }}")),
        ] {
            let mut s = exact(backend, functions, &body);
            let (buffer, counts) = (filled(&mut *s, &[2; 1024]), filled(&mut *s, &[2]));
            assert_eq!(s.dispatch(b"main", [16, 1, 1], &[(0, buffer), (1, counts)]), Ok(status::OK));
            let mut word = [9; 4];
            assert_eq!(s.buf_read(buffer, 0, &mut word), Err(GpuStop::Trap), "{body}");
            assert_eq!(word, [0; 4]);
            // What comes later is counted and taken, and nobody sees what it does.
            assert_eq!(s.buf_write(buffer, 0, &[1; 4]), Ok(status::OK));
            assert_eq!(s.dispatch(b"double", [1, 1, 1], &[(0, buffer)]), Ok(status::OK));
            assert_eq!(s.trace(), Err(GpuStop::Trap));
            assert_eq!(s.buf_read(buffer, 0, &mut []), Ok(status::OK));
        }
    });
}

#[test]
fn a_trap_is_seen_at_the_end_if_nobody_reads() {
    on_every_backend(|backend| {
        let mut s = exact(backend, "", "loop { }");
        let (buffer, counts) = (filled(&mut *s, &[2; 64]), filled(&mut *s, &[2]));
        assert_eq!(s.dispatch(b"main", [1, 1, 1], &[(0, buffer), (1, counts)]), Ok(status::OK));
        assert_eq!(s.dispatch(b"double", [1, 1, 1], &[(0, buffer)]), Ok(status::OK));
        assert_eq!(s.trace(), Err(GpuStop::Trap));
    });
}

/// What `main` with this body makes of `inputs`, a word for each invocation, on every backend.
fn check(functions: &str, body: &str, inputs: &[u32], want: &[u32]) {
    on_every_backend(|backend| {
        let mut s = exact(backend, functions, &format!("let n = counts[id.x]; var r = 0u; {body} words[id.x] = r;"));
        let (buffer, counts) = (filled(&mut *s, &vec![9; inputs.len()]), filled(&mut *s, inputs));
        let groups = inputs.len().div_ceil(64) as u32;
        assert_eq!(s.dispatch(b"main", [groups, 1, 1], &[(0, buffer), (1, counts)]), Ok(status::OK));
        assert_eq!(words(&mut *s, buffer, inputs.len()), want, "{body}");
    });
}

#[test]
fn a_loop_may_use_its_budget_to_the_last() {
    on_every_backend(|backend| {
        let run = |count: u32| {
            let mut s = exact(backend, "", "var n = 0u; for (; n < counts[id.x]; n++) { } words[id.x] = n;");
            let (buffer, counts) = (filled(&mut *s, &[0; 64]), filled(&mut *s, &[count; 64]));
            assert_eq!(s.dispatch(b"main", [1, 1, 1], &[(0, buffer), (1, counts)]), Ok(status::OK));
            let mut bytes = [0; 4];
            s.buf_read(buffer, 0, &mut bytes).map(|_| u32::from_le_bytes(bytes))
        };
        // The look at the condition that ends it is an iteration too.
        assert_eq!(run(LOOP_FUEL - 1), Ok(LOOP_FUEL - 1));
        assert_eq!(run(LOOP_FUEL), Err(GpuStop::Trap));
    });
    const { assert!(LOOP_ROUNDS < LOOP_FUEL) };
}

/// Lavapipe runs them where a workgroup fills no vector of 8. They would go round every loop that ends by what is in a buffer
/// until their neighbours had no iterations left, and wait at barriers alone.
#[test]
fn invocations_that_do_not_exist_loop_for_nobody() {
    on_every_backend(|gpu| {
        let wgsl = "
            @group(0) @binding(0) var<storage, read_write> out: array<u32>;
            @group(0) @binding(1) var<storage, read> one: u32;
            @compute @workgroup_size(12) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
                for (var n = 0u; n < 2u; n += one) { workgroupBarrier(); }
                var sum = 0u;
                loop { sum += one; if sum >= 3u { break; } }
                for (var n = 0u; n < 9u * one; n++) { sum += 10u; if sum > 100u { break; } }
                out[id.x] = sum;
            }";
        let mut s = session_of(gpu, &[("main", wgsl)], ROOMY);
        let (out, one) = (filled(&mut *s, &[0; 24]), filled(&mut *s, &[1]));
        assert_eq!(s.dispatch(b"main", [2, 1, 1], &[(0, out), (1, one)]), Ok(status::OK));
        assert_eq!(words(&mut *s, out, 24), [93; 24]);
    });
}

#[test]
fn shifts_are_modulo_32() {
    let counts: Vec<u32> = (0..64).collect();
    let want: Vec<u32> = counts.iter().map(|n| 1 << (n % 32) | (i32::MIN >> (n % 32)).cast_unsigned()).collect();
    check("", "r = (1u << n) | u32(i32(0x80000000u) >> (n + 64u));", &counts, &want);
}

#[test]
fn out_of_range_is_zero_and_nothing_everywhere() {
    let body = "
        var local = array<u32, 4>(5u, 6u, 7u, 8u);
        local[n] = 9u;
        let v = vec3<u32>(1u, 2u, 3u);
        r = local[0] * 1000000u + local[3] * 10000u + local[n] * 100u + v[n] * 10u + shared_words[n];
        if n > 3u { r += counts[n + 1000000u]; }";
    check(
        "var<workgroup> shared_words: array<u32, 2>;",
        body,
        &[0, 3, 4, 5, u32::MAX, 1 << 31],
        &[9_080_910, 5_090_900, 5_080_000, 5_080_000, 5_080_000, 5_080_000],
    );
}

#[test]
fn division_is_as_wgsl_says() {
    let min = 1 << 31;
    let signed = "let a = bitcast<i32>(n); let b = bitcast<i32>(counts[1]);";
    for (expression, want) in [
        ("bitcast<u32>(a / b)", min),
        ("bitcast<u32>(a % b)", 0),
        ("bitcast<u32>(a / (b + 1))", min),
        ("bitcast<u32>(a % (b + 1))", 0),
        ("n / (counts[1] + 1u)", min),
        ("n % (counts[1] + 1u)", 0),
        ("bitcast<u32>(-7 % (b - 2))", (-1i32).cast_unsigned()),
    ] {
        check("", &format!("{signed} if id.x == 0u {{ r = {expression}; }}"), &[min, u32::MAX], &[want, 0]);
    }
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

//! Whole shaders on the reference: what WGSL says of them, in every order.

use super::*;
use crate::{Class, Shader};

const PATIENT: fn() -> bool = || true;

fn exact(wgsl: &str) -> Shader {
    let shader = Shader::parse(wgsl).unwrap_or_else(|finding| panic!("{finding}\n{wgsl}"));
    assert_eq!(shader.class(), Class::Exact, "{:?}\n{wgsl}", shader.findings());
    shader
}

/// What is in `words`, binding 0, after `groups` workgroups of 64 with this body, in every order.
fn run(declarations: &str, body: &str, groups: u32, words: &[u32]) -> (Ended, Vec<u32>) {
    let shader = exact(&format!(
        "@group(0) @binding(0) var<storage, read_write> words: array<u32>;
         {declarations}
         @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>,
             @builtin(local_invocation_index) i: u32, @builtin(workgroup_id) group: vec3<u32>) {{ {body} }}"
    ));
    let reference = shader.reference().expect("exact shaders have one");
    let on = |order| {
        let mut buffers = [words.to_vec()];
        let ended = reference.dispatch([groups, 1, 1], &mut buffers, &[(0, 0)], order, &mut { PATIENT }).unwrap();
        let [words] = buffers;
        (ended, words)
    };
    let natural = on(Order::Natural);
    for (seed, together) in [(1, 1), (2, 1), (3, 5), (4, 32)] {
        let shuffled = on(Order::Shuffled { seed, together });
        assert_eq!(shuffled.0, natural.0, "{body}");
        if natural.0 == Ended::Done {
            assert_eq!(shuffled.1, natural.1, "seed {seed}, {together} together: {body}");
        }
    }
    natural
}

/// As [`run`], on `words[id.x]`, in one workgroup; what it makes of each word.
fn each(declarations: &str, body: &str, words: &[u32]) -> Vec<u32> {
    let (ended, words) = run(declarations, &format!("if id.x < arrayLength(&words) {{ {body} }}"), 1, words);
    assert_eq!(ended, Ended::Done, "{body}");
    words
}

/// The reference of a shader whatever its class: what the analysis would refuse.
fn inexact(wgsl: &str) -> Reference {
    let (module, info) = crate::source::parse(wgsl).unwrap();
    let written = crate::rewrite::rewrite(&module, &info, &crate::barrier::Barriers::of(&module)).unwrap();
    Reference::of(&written.module, &written.info).unwrap()
}

#[test]
fn races_show_in_other_orders() {
    let head = "@group(0) @binding(0) var<storage, read_write> words: array<u32>; var<workgroup> tile: array<u32, 64>;
        @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>,
            @builtin(local_invocation_index) i: u32, @builtin(workgroup_id) group: vec3<u32>)";
    for body in [
        // Between workgroups.
        "if i == 0u { words[0] = words[0] * 3u + group.x; }",
        // Between the invocations of one.
        "if group.x == 0u { words[0] = words[0] * 3u + i; }",
        // For want of a barrier.
        "tile[i] = i + 1u; words[id.x] = tile[63u - i];",
    ] {
        let wgsl = format!("{head} {{ {body} }}");
        assert_eq!(Shader::parse(&wgsl).unwrap().class(), Class::Device, "{body}");
        let reference = inexact(&wgsl);
        let on = |order| {
            let mut buffers = [vec![0; 256]];
            reference.dispatch([4, 1, 1], &mut buffers, &[(0, 0)], order, &mut { PATIENT }).unwrap();
            buffers
        };
        let orders = [(1, 1), (2, 1), (3, 5)].map(|(seed, together)| on(Order::Shuffled { seed, together }));
        assert!(orders[0] != orders[1] && orders[0] != orders[2] && orders[1] != orders[2], "{body}");
    }
}

#[test]
fn branches_and_loops_take_the_lanes_they_should() {
    let check = |body: &str, want: fn(u32) -> u32| {
        let words: Vec<u32> = (0..64).collect();
        let want: Vec<u32> = words.iter().map(|n| want(*n)).collect();
        assert_eq!(
            each("", &format!("let n = words[id.x]; var r = 0u; {body} words[id.x] = r;"), &words),
            want,
            "{body}"
        );
    };
    check("if n % 2u == 0u { r = n; }", |n| if n % 2 == 0 { n } else { 0 });
    check("if n < 9u { r = 1u; } else if n < 20u { r = 2u; } else { r = 3u; }", |n| {
        1 + u32::from(n >= 9) + u32::from(n >= 20)
    });
    check("for (var k = 0u; k < n; k++) { r += k; }", |n| (0..n).sum());
    check("for (var k = 0u; k < n; k++) { if k % 3u == 1u { continue; } if k > 40u { break; } r += k; }", |n| {
        (0..n.min(41)).filter(|k| k % 3 != 1).sum()
    });
    check("for (var k = 0u; k < n; k++) { for (var m = 0u; m < k; m++) { if m == 7u { break; } r++; } }", |n| {
        (0..n).map(|k| k.min(7)).sum()
    });
    check("loop { r += 3u; continuing { r += 1u; break if r > n; } }", |n| (n / 4 + 1) * 4);
    check("loop { if r == n { break; } r++; if r % 2u == 0u { continue; } r += 0u; }", |n| n);
    check(
        "switch n { case 1u, 2u: { r = 5u; } case 3u: { if n == 3u { break; } r = 1u; } case 9u: {} default: { r = 7u; } }",
        |n| match n {
            1 | 2 => 5,
            3 | 9 => 0,
            _ => 7,
        },
    );
    check("switch i32(n) - 5 { case -1: { r = 4u; } default: { r = 1u; } case 2: { r = 7u; } }", |n| match n {
        4 => 4,
        7 => 7,
        _ => 1,
    });
    check("for (var k = 0u; k < 9u; k++) { switch k { case 4u: { continue; } default: {} } r += n; }", |n| 8 * n);
    check("if n > 5u { words[id.x] = 1000u; return; } r = n + 1u;", |n| if n > 5 { 1000 } else { n + 1 });
    check("for (var k = 0u; ; k++) { if k == n { words[id.x] = k * 2u; return; } }", |n| 2 * n);
    check("if n > 5u && (n < 9u || n == 40u) { r = 1u; }", |n| u32::from(n > 5 && (n < 9 || n == 40)));
}

#[test]
fn functions_return_early_and_change_what_they_are_lent() {
    let functions = "
        struct Pair { a: u32, b: vec3<i32> }
        var<private> counter: u32 = 5u;
        fn early(n: u32) -> u32 { if n > 9u { return n * 2u; } for (var k = 0u; k < 9u; k++) { if k == n { return k; } } return 77u; }
        fn change(p: ptr<function, Pair>, by: u32) { if by % 2u == 0u { (*p).b.y += i32(by); return; } (*p).a = by; }
        fn count(p: ptr<private, u32>) { *p += 1u; }
        fn both(n: u32) -> Pair { return Pair(early(n), vec3<i32>(i32(n), -i32(n), 3)); }";
    let body = "
        let n = words[id.x];
        var pair = both(n);
        change(&pair, n);
        count(&counter);
        if n > 3u { count(&counter); }
        words[id.x] = pair.a + 1000u * bitcast<u32>(pair.b.x + pair.b.y) + 1000000u * counter;";
    let words: Vec<u32> = (0..64).collect();
    let early = |n: u32| {
        if n > 9 {
            n * 2
        } else if n == 9 {
            77
        } else {
            n
        }
    };
    let want: Vec<u32> = words
        .iter()
        .map(|&n| {
            let (a, b) = if n % 2 == 0 { (early(n), n) } else { (n, 0) };
            a + 1000 * b + 1_000_000 * (6 + u32::from(n > 3))
        })
        .collect();
    assert_eq!(each(functions, body, &words), want);
}

#[test]
fn variables_keep_what_lanes_put_into_them() {
    let body = "
        let n = words[id.x];
        var grid: array<array<u32, 5>, 3>;
        for (var k = 0u; k < n; k++) { grid[k % 3u][k] += k + 1u; }
        let copy = grid;
        grid[n % 3u] = copy[(n + 1u) % 3u];
        var v = vec4<u32>(1u, 2u, 3u, 4u);
        v[n % 8u] = 9u;
        let w = v.wzyx.xy;
        var sum = w.x * 10000u + w.y * 1000u + v[n];
        for (var k = 0u; k < 15u; k++) { sum += grid[k / 5u][k % 5u] * (k + 3u); }
        words[id.x] = sum + select(0u, 1u, all(v > vec4(1u))) + u32(any(v == vec4(9u)));";
    let words: Vec<u32> = (0..12).chain([u32::MAX]).collect();
    let want = |n: u32| {
        let mut grid = [[0u32; 5]; 3];
        (0..n.min(50)).for_each(|k| {
            if k < 5 {
                grid[(k % 3) as usize][k as usize] += k + 1;
            }
        });
        let copy = grid;
        grid[(n % 3) as usize] = copy[(n.wrapping_add(1) % 3) as usize];
        let mut v = [1u32, 2, 3, 4];
        if n % 8 < 4 {
            v[(n % 8) as usize] = 9;
        }
        let mut sum = v[3] * 10_000 + v[2] * 1000 + v.get(n as usize).copied().unwrap_or(0);
        (0..15).for_each(|k| sum = sum.wrapping_add(grid[k / 5][k % 5].wrapping_mul(k as u32 + 3)));
        sum + u32::from(v.iter().all(|c| *c > 1)) + u32::from(v.contains(&9))
    };
    // The last one would loop for too long.
    let words = &words[..12];
    assert_eq!(each("", body, words), words.iter().map(|n| want(*n)).collect::<Vec<_>>());
}

#[test]
fn buffers_are_laid_out_as_wgsl_says() {
    let shader = exact(
        "struct Inner { a: vec3<u32>, b: u32, c: array<vec3<i32>, 2> }
         struct Outer { head: u32, inner: Inner, tail: array<Inner> }
         struct Tight { a: array<u32, 3>, b: u32, c: array<i32, 6> }
         @group(0) @binding(3) var<storage, read> source: Outer;
         @group(0) @binding(1) var<storage, read_write> copies: array<Tight>;
         @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
             if id.x < arrayLength(&source.tail) {
                 let it = source.tail[id.x];
                 let a = array<u32, 3>(it.a.x, it.a.y, it.a.z);
                 let c = array<i32, 6>(it.c[0].x, it.c[0].y, it.c[0].z, it.c[1].x, it.c[1].y, it.c[1].z);
                 copies[id.x] = Tight(a, it.b, c);
                 copies[id.x].b += source.head + u32(source.inner.c[1].z);
             }
         }",
    );
    // head at 0, inner at 16: a 16, b 28, c 32..64; tail at 64 with 48 bytes an element.
    let mut from = vec![0; 16 + 2 * 12 + 5];
    from[0] = 100;
    from[4 + 4 + 4 + 2] = 1000;
    from[16..40].iter_mut().enumerate().for_each(|(i, word)| *word = i as u32 + 1);
    let mut buffers = [from, vec![u32::MAX; 36]];
    let bindings = [(3, 0), (1, 1)];
    let reference = shader.reference().unwrap();
    assert_eq!(
        reference.dispatch([3, 1, 1], &mut buffers, &bindings, Order::Natural, &mut { PATIENT }),
        Ok(Ended::Done)
    );
    let mut want = vec![1, 2, 3, 4 + 1100, 5, 6, 7, 9, 10, 11, 13, 14, 15, 16 + 1100, 17, 18, 19, 21, 22, 23];
    want.resize(36, u32::MAX);
    assert_eq!(buffers[1], want);
}

#[test]
fn a_workgroup_meets_at_barriers() {
    let declarations = "
        var<workgroup> sums: array<u32, 64>;
        var<workgroup> most: atomic<i32>;
        var<workgroup> shared_count: u32;";
    let body = "
        sums[i] = words[id.x];
        atomicMax(&most, i32(words[id.x]) - 50);
        if i == 0u { shared_count = words[id.x] + 3u; }
        workgroupBarrier();
        let many = workgroupUniformLoad(&shared_count);
        for (var s = 32u; s > 0u; s >>= 1u) {
            if i < s { sums[i] += sums[i + s]; }
            workgroupBarrier();
        }
        words[id.x] = sums[0] * 1000u + many * 10u + u32(atomicLoad(&most)) % 10u;";
    let words: Vec<u32> = (0..192).map(|n| n * 7 % 61).collect();
    let (ended, got) = run(declarations, body, 3, &words);
    assert_eq!(ended, Ended::Done);
    for (group, words) in words.chunks(64).enumerate() {
        let sum: u32 = words.iter().sum();
        let most = words.iter().map(|n| n.cast_signed() - 50).max().unwrap().max(0).cast_unsigned();
        assert_eq!(got[group * 64..][..64], [sum * 1000 + (words[0] + 3) * 10 + most % 10; 64]);
    }
}

#[test]
fn atomic_operations_meet_in_any_order() {
    let declarations = "
        struct Bins { add: atomic<u32>, low: atomic<i32>, high: atomic<u32>, all: atomic<u32>, some: atomic<u32>, odd: atomic<u32> }
        @group(0) @binding(1) var<storage, read_write> bins: Bins;";
    let shader = exact(&format!(
        "@group(0) @binding(0) var<storage, read> words: array<u32>;
         {declarations}
         @compute @workgroup_size(50) fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
             let n = words[id.x];
             atomicAdd(&bins.add, n); atomicMin(&bins.low, bitcast<i32>(n)); atomicMax(&bins.high, n);
             atomicAnd(&bins.all, n | 0xf0u); atomicOr(&bins.some, n); atomicXor(&bins.odd, n);
         }}"
    ));
    let words: Vec<u32> = (0u32..100).map(|n| (n + 1).wrapping_mul(2_654_435_761)).collect();
    for order in [Order::Natural, Order::Shuffled { seed: 9, together: 1 }] {
        let mut buffers = [words.clone(), vec![0, 0, 0, u32::MAX, 0, 0]];
        let reference = shader.reference().unwrap();
        let ended = reference.dispatch([2, 1, 1], &mut buffers, &[(0, 0), (1, 1)], order, &mut { PATIENT });
        assert_eq!(ended, Ok(Ended::Done));
        let fold = |start, f: fn(u32, u32) -> u32| words.iter().fold(start, |all, word| f(all, *word));
        let low = words.iter().map(|n| n.cast_signed()).min().unwrap().min(0).cast_unsigned();
        let want = [
            fold(0, u32::wrapping_add),
            low,
            fold(0, u32::max),
            fold(u32::MAX, |a, b| a & (b | 0xf0)),
            fold(0, |a, b| a | b),
            fold(0, |a, b| a ^ b),
        ];
        assert_eq!(buffers[1], want);
    }
}

#[test]
fn loops_have_their_budget_to_the_last() {
    use crate::limits::{LOOP_FUEL, LOOP_ROUNDS};
    let ended = |body: &str, n: u32| {
        let words: Vec<u32> = (0..64).map(|i| if i == 0 { n } else { 3 }).collect();
        run("var<workgroup> n: u32;", body, 1, &words).0
    };
    let plain = "for (var k = 0u; k < words[id.x]; k++) { }";
    assert_eq!(ended(plain, LOOP_FUEL - 1), Ended::Done);
    assert_eq!(ended(plain, LOOP_FUEL), Ended::Trapped);
    assert_eq!(ended("if id.x == 5u { loop { } }", 0), Ended::Trapped);
    assert_eq!(ended("loop { workgroupBarrier(); }", 0), Ended::Trapped);
    let waiting = "if i == 0u { n = words[0]; } let most = workgroupUniformLoad(&n);
        for (var k = 0u; k < most; k++) { workgroupBarrier(); }";
    let waiting = waiting.replace("words[0]", "words[id.x]");
    assert_eq!(ended(&waiting, LOOP_ROUNDS - 1), Ended::Done);
    assert_eq!(ended(&waiting, LOOP_ROUNDS), Ended::Trapped);
}

#[test]
fn whoever_waits_may_stop() {
    let shader = exact(
        "@group(0) @binding(0) var<storage, read_write> words: array<u32>;
         @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
             for (var k = 0u; k < 50000u; k++) { words[id.x] += k; }
         }",
    );
    let mut asked = 0;
    let mut buffers = [vec![0; 64]];
    let ended =
        shader.reference().unwrap().dispatch([60_000, 1, 1], &mut buffers, &[(0, 0)], Order::Natural, &mut || {
            asked += 1;
            asked < 20
        });
    assert_eq!((ended, asked), (Err(Interrupted), 20));
}

#[test]
fn what_is_too_large_is_not_exact() {
    let check = |declarations: &str, body: &str, exact: bool| {
        let wgsl = format!(
            "@group(0) @binding(0) var<storage, read_write> words: array<u32>; {declarations}
             @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3<u32>) {{ {body} words[id.x] = 1u; }}"
        );
        let shader = Shader::parse(&wgsl).unwrap();
        assert_eq!(shader.class() == Class::Exact, exact, "{:?}", shader.findings());
        assert_eq!(shader.reference().is_some(), exact);
    };
    // 8 KiB of variables in each of functions that call each other.
    let chain = |calls: u32| {
        let first = "fn f0(n: u32) -> u32 { var a: array<u32, 2000>; a[n] = n; return a[n / 2u]; }".to_owned();
        (1..calls).fold(first, |text, k| {
            format!(
                "{text} fn f{k}(n: u32) -> u32 {{ var a: array<u32, 2000>; a[n] = n; return a[n / 2u] + f{}(n); }}",
                k - 1
            )
        })
    };
    check(&chain(8), "words[id.x] = f7(id.x);", true);
    check(&chain(9), "words[id.x] = f8(id.x);", false);
    let nested = |name: &str, then: &str| {
        format!(
            "fn {name}(n: u32) -> u32 {{ var r = 0u; {} r += {then}; {} return r; }}",
            "if n > 3u { ".repeat(90),
            "} ".repeat(90)
        )
    };
    check(&nested("one", "n"), "words[id.x] = one(id.x);", true);
    let two = format!("{} {}", nested("one", "n"), nested("two", "one(n)"));
    check(&two, "words[id.x] = two(id.x);", true);
    let three = format!("{two} {}", nested("three", "two(n)"));
    check(&three, "words[id.x] = three(id.x);", false);
    // A constant that nobody needs.
    check("const big = array<u32, 100000>();", "", true);
}

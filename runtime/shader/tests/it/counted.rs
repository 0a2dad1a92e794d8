//! Which loops are counted all at once, and that their budget is then the same as round by round.

use naga::Statement;
use p2c2r_shader::Shader;
use p2c2r_shader::limits::LOOP_FUEL;
use p2c2r_shader::reference::{Ended, Order};

fn shader(body: &str) -> Shader {
    let wgsl = format!(
        "struct Params {{ count: u32, least: i32 }}
         @group(0) @binding(0) var<storage, read_write> out: array<u32>;
         @group(0) @binding(1) var<storage, read> words: array<u32>;
         @group(0) @binding(2) var<storage, read> params: Params;
         var<private> own: u32;
         const LAST = 9u;
         fn forty() -> u32 {{ own = own + 1u; return 40u; }}
         fn change(p: ptr<function, u32>) -> u32 {{ *p = 0u; return 1u; }}
         @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
             var r = 0u; var m = 4u; let n = words[id.x]; {body} out[id.x] = r + m;
         }}"
    );
    Shader::parse(&wgsl).unwrap_or_else(|finding| panic!("{finding}\n{body}"))
}

/// Loops that pay at once, and all of them.
fn count(body: &str) -> (usize, usize) {
    count_in(&shader(body))
}

/// The same, of a whole shader: those that do not begin with a look at what is left of the budget.
fn count_in(shader: &Shader) -> (usize, usize) {
    let module = shader.rewritten().module();
    let (mut at_once, mut all) = (0, 0);
    let mut open: Vec<&naga::Block> = module.functions.iter().map(|(_, function)| &function.body).collect();
    open.extend(module.entry_points.iter().map(|entry| &entry.function.body));
    while let Some(block) = open.pop() {
        for statement in block.iter() {
            match statement {
                Statement::Block(inner) => open.push(inner),
                Statement::If { accept, reject, .. } => open.extend([accept, reject]),
                Statement::Switch { cases, .. } => open.extend(cases.iter().map(|case| &case.body)),
                Statement::Loop { body, continuing, .. } => {
                    open.extend([body, continuing]);
                    all += 1;
                    let head = body.iter().find(|statement| !matches!(statement, Statement::Emit(_)));
                    let Some(Statement::If { accept, .. }) = head else { panic!("no look at the head: {head:?}") };
                    at_once += usize::from(accept.is_empty());
                }
                _ => {}
            }
        }
    }
    (at_once, all)
}

#[test]
fn loops_that_count_to_a_bound_that_stays() {
    for body in [
        "for (var i = 0u; i < 10u; i++) { r += i; }",
        "for (var i = 3i; i <= 10i; i += 2i) { r += 1u; }",
        "for (var i = -3i; i <= 3i; i++) { r += 1u; }",
        "for (var i = LAST; i > 0u; i--) { r += i; }",
        "for (var i = 9i; i >= -9i; i -= 3i) { r += 1u; }",
        "for (var i = 0u; 10u > i; i = 1u + i) { r += i; }",
        "for (var i = id.x; i < LAST; i += 64u) { r += i; }",
        "for (var i = 0u; i < n; i++) { r += i; }",
        "for (var i = 0u; i < m; i++) { r += i; }",
        "for (var i = 0u; i < min(n * 2u + 1u, m); i++) { r += i; }",
        "for (var i = 0u; i < words[id.x]; i++) { r += i; }",
        "for (var i = 0u; i < params.count; i++) { r += i; }",
        "for (var i = 0i; i > params.least; i--) { r += 1u; }",
        "for (var i = 0u; i < arrayLength(&words); i++) { r += i; }",
        "for (var i = 0u; i < arrayLength(&out); i++) { r += i; }",
        "var i = 0u; while i < n { r += i; i += 1u; }",
        "var i = 0u; while i < n { if r > 3u { r = 0u; } { i += 1u; } r += i; }",
        // What leaves something else, and calls that cannot reach it.
        "for (var i = 0u; i < n; i++) { if r == 7u { continue; } r += forty(); }",
        "for (var i = 0u; i < n; i++) { switch r { case 7u: { break; } default: { r += 1u; } } }",
        "for (var i = 0u; i < n; i++) { r += change(&m); }",
        "for (var i = 0u; i < n; i++) { for (var k = i; k < 5u; k++) { r += k; } }",
    ] {
        let (at_once, all) = count(body);
        assert!(at_once == all && all > 0, "{at_once} of {all}: {body}");
    }
}

#[test]
fn loops_that_could_be_longer_than_they_look_or_are_left_early() {
    for body in [
        // Left early.
        "for (var i = 0u; i < 10u; i++) { if r == 7u { break; } r += i; }",
        "for (var i = 0u; i < 10u; i++) { if r == 7u { return; } r += i; }",
        "for (var i = 0u; i < 10u; i++) { switch r { case 7u: { return; } default: { r += 1u; } } }",
        "var i = 0u; loop { if i >= n { break; } r += i; continuing { i++; break if r > 9u; } }",
        // Not looked at first.
        "var i = 0u; loop { r += 1u; if i < n { } else { break; } continuing { i++; } }",
        "var i = 0u; loop { continuing { i++; break if i >= n; } }",
        // The variable is changed elsewhere, or not always, or by what is not known.
        "for (var i = 0u; i < 10u; i++) { i = 0u; }",
        "for (var i = 0u; i < 10u; i++) { if r == 7u { i -= 1u; } }",
        "for (var i = 0u; i < 10u; i++) { r += change(&i); }",
        "for (var i = 0u; i < 10u; i++) { let p = &i; *p = r; }",
        "for (var i = 0u; i < 10u; ) { for (var k = 0u; k < m; k++) { i++; m += r; } }",
        "for (var i = 0u; i < 10u; ) { r += 1u; if r > 3u { i++; } }",
        "var i = 0u; while i < n { r += 1u; if r > 3u { continue; } i += 1u; }",
        "for (var i = 0u; i < 10u; i += m) { r += 1u; }",
        "for (var i = 1u; i < 10u; i <<= 1u) { r += 1u; }",
        "var i = 0u; let k = i; while i < n { i = k + 1u; }",
        "var i = 0u; var k = 0u; while i < n { i = k + 1u; }",
        "var i = vec2(0u); while i.x < n { i.x += 1u; }",
        "for (own = 0u; own < n; own++) { r += forty(); }",
        // The condition is another.
        "let again = r < n; var i = 0u; while again { i++; }",
        "let start = m; var i = 0u; while start < n { i++; m++; }",
        "for (var i = 0u; i < 10u && r < 9u; i++) { r += i; }",
        "for (var i = 0u; i != n; i++) { r += i; }",
        // The bound moves, or could.
        "for (var i = 0u; i < m; i++) { m = m + 1u; }",
        "for (var i = 0u; i < m; i++) { r += change(&m); }",
        "for (var i = 0u; i < m + i; i++) { r += 1u; }",
        "for (var i = 0u; i < out[id.x]; i++) { out[id.x] += 1u; }",
        "for (var i = 0u; i < own; i++) { r += forty(); }",
        // The last step could lead past the type, or the steps lead away.
        "for (var i = 0u; i <= 4294967295u; i++) { r += 1u; }",
        "for (var i = 0u; i < 4294967295u; i += 2u) { r += 1u; }",
        "for (var i = 0i; i >= -2147483647i - 1i; i--) { r += 1u; }",
        "for (var i = 9u; i >= 0u; i--) { r += 1u; }",
        "for (var i = 9u; i > 1u; i -= 3u) { r += 1u; }",
        "for (var i = 0u; i <= n; i++) { r += 1u; }",
        "for (var i = 0u; i < n; i += 2u) { r += 1u; }",
        "for (var i = 0u; i < n; i--) { r += 1u; }",
        "for (var i = 0u; i < n; i += 0u) { r += 1u; }",
        "for (var i = 0u; i < n; ) { r += 1u; }",
    ] {
        assert_eq!(count(body).0, 0, "{body}");
    }
    // Barriers keep a count of their own.
    assert_eq!(count("for (var i = 0u; i < 9u; i++) { workgroupBarrier(); }"), (0, 1));
}

#[test]
fn loops_of_our_own_shaders() {
    for (wgsl, want) in [
        // The walk through the tree ends when it finds something, and a path of light when it leaves the scene.
        (include_str!("../../../../kernels/raytrace/shaders/trace.wgsl"), (3, 5)),
        (include_str!("../../../../kernels/npc/shaders/policy.wgsl"), (10, 10)),
        (include_str!("../../../../kernels/flow/shaders/depths.wgsl"), (1, 1)),
    ] {
        assert_eq!(count_in(&Shader::parse(wgsl).unwrap()), want, "{wgsl}");
    }
}

/// How the reference ends `body` with `n` in every word, and `out[0]`.
fn run(body: &str, n: u32) -> (Ended, u32) {
    let shader = shader(body);
    let reference = shader.reference().unwrap_or_else(|| panic!("{:?}\n{body}", shader.findings()));
    let mut buffers = [vec![0; 64], vec![n; 64], vec![n; 2]];
    let bound = [(0, 0), (1, 1), (2, 2)];
    let ended = reference.dispatch([1, 1, 1], &mut buffers, &bound, Order::Natural, &mut || true).unwrap();
    (ended, buffers[0][0])
}

#[test]
fn the_budget_is_the_same_as_round_by_round() {
    // A loop, and how often it looks at its condition.
    for (body, looks) in [
        ("for (var i = 0u; i < 10u; i++) { r++; }", 11),
        ("for (var i = 10u; i < 10u; i++) { r++; }", 1),
        ("for (var i = 11u; i < 10u; i++) { r++; }", 1),
        ("for (var i = 0u; i <= 10u; i++) { r++; }", 12),
        ("for (var i = 0u; i < 10u; i += 3u) { r++; }", 5),
        ("for (var i = 0u; i < 9u; i += 3u) { r++; }", 4),
        ("for (var i = 0u; i < 2147483649u; i += 2147483647u) { r++; }", 3),
        ("for (var i = 4294967290u; i < 4294967295u; i++) { r++; }", 6),
        ("for (var i = -5i; i <= 5i; i++) { r++; }", 12),
        ("for (var i = 9i; i >= -9i; i -= 4i) { r++; }", 6),
        ("for (var i = -2147483647i; i > -2147483647i - 1i; i--) { r++; }", 2),
        ("for (var i = 0i; i < -1i; i++) { r++; }", 1),
        ("for (var i = 0u; i < arrayLength(&words); i++) { r++; }", 65),
        ("for (var i = 0u; i < 3u; i++) { for (var k = i; k < 3u; k++) { r++; } }", 4 + 4 + 3 + 2),
        ("for (var i = 0u; i < 3u; i++) { if i == 1u { continue; } r += forty() - 39u; }", 4),
    ] {
        assert!(count(body).0 > 0, "{body}");
        // The same, counted round by round: no compiler knows that it is never left early.
        let by_round = body.replace("r++;", "r++; if n == 77u { break; }");
        for body in [body, &by_round] {
            let (_, rounds) = run(body, 0);
            // A loop before it leaves just enough, and one too few.
            let both = format!("for (var x = 0u; x < n; x++) {{ }} {body}");
            assert_eq!(run(&both, LOOP_FUEL - 1 - looks), (Ended::Done, rounds), "{body}");
            assert_eq!(run(&both, LOOP_FUEL - looks).0, Ended::Trapped, "{body}");
        }
    }
}

#[test]
fn a_bound_that_is_far_off_is_a_trap() {
    for n in [LOOP_FUEL, 1 << 31, u32::MAX - 1, u32::MAX] {
        for body in [
            "for (var i = 0u; i < n; i++) { r++; }",
            "for (var i = n; i > 0u; i--) { r++; }",
            "for (var i = bitcast<i32>(1u << 31u); i < bitcast<i32>(n ^ (1u << 31u)); i++) { r++; }",
            // What encloses it is left, whether it counts or not.
            "for (var k = 0u; k < 9u; k++) { for (var i = 0u; i < n; i++) { r++; } }",
            "loop { for (var i = 0u; i < n; i++) { r++; } }",
        ] {
            assert!(count(body).0 > 0, "{body}");
            assert_eq!(run(body, n).0, Ended::Trapped, "{n}: {body}");
        }
    }
}

//! Shaders that must not pass: each with its line and a word of the sentence.

use p2c2r_shader::{Class, Shader, limits};

const OUT: &str = "@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@group(0) @binding(1) var<storage, read> words: array<u32>;
var<workgroup> x: array<u32, 256>;
var<workgroup> count: atomic<u32>;\n";

/// The body starts on line 6.
fn main(body: &str) -> String {
    format!(
        "{OUT}@compute @workgroup_size(256) fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) i: u32, @builtin(workgroup_id) group: vec3<u32>) {{\n{body}\n}}"
    )
}

/// Refused in every class.
fn refused(wgsl: &str, line: Option<u32>, needle: &str) {
    let finding = Shader::parse(wgsl).map(|shader| shader.class()).expect_err(wgsl);
    assert!(finding.reason.contains(needle), "{finding} lacks {needle:?}");
    assert_eq!(finding.place.map(|place| place.line), line, "{finding}");
    if let Some(line) = line {
        assert!(finding.to_string().starts_with(&format!("line {line}:")), "{finding}");
    }
}

/// Refused in `exact`.
fn inexact(wgsl: &str, line: u32, needle: &str) {
    let shader = Shader::parse(wgsl).unwrap_or_else(|finding| panic!("{finding}\n{wgsl}"));
    assert_eq!(shader.class(), Class::Device, "{wgsl}");
    let first = &shader.findings()[0];
    assert!(first.reason.contains(needle), "{first} lacks {needle:?}\n{wgsl}");
    assert_eq!(first.place.map(|place| place.line), Some(line), "{first}\n{wgsl}");
}

#[test]
fn floats() {
    inexact(&main("let f = f32(id.x);\nout[id.x] = u32(f);"), 6, "float");
    // No variable, argument or constant of the shader is a float.
    inexact(&main("out[id.x] = u32(f32(words[id.x]) * 0.1);"), 6, "float");
    inexact(&main("out[id.x] = bitcast<u32>(unpack4x8unorm(words[0]).x);"), 6, "float");
    inexact(&main("out[id.x] = pack4x8snorm(vec4<f32>(vec4<u32>(id.x)));"), 6, "built-in function");
    let helper = "fn half(v: u32) -> u32 {\n  return u32(f32(v) * 0.5);\n}\n";
    inexact(&format!("{helper}{}", main("out[id.x] = half(id.x);")), 2, "float");
    inexact(
        "struct Pair { a: u32, b: f32 }
         @group(0) @binding(0) var<storage, read_write> pairs: array<Pair>;
         @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
             let copy = pairs[id.x];
             pairs[id.x] = copy;
         }",
        4,
        "float",
    );
}

#[test]
fn constants_of_the_c_library() {
    // glibc 2.36 has 0x3f000024 for this tangent, the crate libm, which is after musl, 0x3f000023.
    for constant in
        ["tan(0.4636493f)", "sin(0.7)", "pow(2.2, 3.3)", "exp2 /* ( */ (0.1)", "atan2(0.3, 0.9)", "max(cosh(0.1), 1.0)"]
    {
        inexact(&main(&format!("out[id.x] = u32({constant} * 16777216.0);")), 6, "C library");
    }
    inexact(&main("const TURN = array(\ni32(sin(0.1) * 32768.0)); out[id.x] = u32(TURN[0]);"), 7, "C library");
    // Rounded the same everywhere, or somebody's own.
    let own = "fn sin(turn: u32) -> u32 { return turn * 3u; }\n";
    let exp = "let exp = array(1u, 2u); out[id.x] = sin(exp[id.x & 1u]) + u32(sqrt(2.0) * 65536.0); // log(3.0)";
    let shader = Shader::parse(&format!("{own}{}", main(exp))).unwrap();
    assert_eq!(shader.class(), Class::Exact, "{:?}", shader.findings());
}

#[test]
fn gaps_in_what_is_stored() {
    let storing = |ty: &str, store: &str| {
        format!(
            "struct Loose {{ a: u32, b: vec4<u32> }}
             struct Tight {{ a: vec2<u32>, b: array<u32, 2>, c: vec4<i32> }}
             struct Headed {{ count: u32, items: array<vec4<u32>> }}
             struct Third {{ a: vec3<u32>, b: u32 }}
             @group(0) @binding(0) var<storage, read_write> out: {ty};
             @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
                 {store}
             }}"
        )
    };
    for (ty, store) in [
        ("array<Loose>", "out[id.x] = Loose();"),
        ("array<vec3<u32>>", "out[id.x] = vec3<u32>();"),
        ("array<vec3<u32>>", "out[id.x].y = 1u;"),
        ("array<vec3<u32>>", "out[id.x][id.y] = 1u;"),
        ("array<array<Loose, 2>>", "out[id.x] = array<Loose, 2>();"),
        ("array<Third>", "out[id.x] = Third();"),
        ("array<Third>", "let p = &out[id.x].a; (*p).z = 3u;"),
    ] {
        inexact(&storing(ty, store), 7, "gaps");
    }
    for (ty, store) in [
        ("array<Loose>", "out[id.x].a = 1u; out[id.x].b = vec4<u32>(); out[id.x].b.z = 3u;"),
        ("array<Tight>", "out[id.x] = Tight(); out[id.x].b[id.y] = 1u;"),
        ("Headed", "out.items[id.x] = vec4<u32>();"),
        ("array<Third>", "out[id.x].b = out[id.x].a.x;"),
        ("array<u32>", "var v = vec3<u32>(); v.x = 1u; var l = Loose(); l.a = v.x; out[id.x] = l.a;"),
    ] {
        let shader = Shader::parse(&storing(ty, store)).unwrap();
        assert_eq!(shader.class(), Class::Exact, "{:?} {store}", shader.findings());
    }
}

#[test]
fn atomics_in_an_order() {
    inexact(&main("out[id.x] = atomicAdd(&count, 1u);"), 6, "do not use it");
    inexact(&main("\natomicExchange(&count, i);"), 7, "exchanges");
    inexact(&main("atomicCompareExchangeWeak(&count, 0u, i);"), 6, "exchanges");
    inexact(&main("atomicAdd(&count, 1u);\natomicMax(&count, i);"), 7, "count");
    inexact(&main("atomicStore(&count, i);"), 6, "count");
    inexact(&main("atomicAdd(&count, 1u);\nout[id.x] = atomicLoad(&count);"), 7, "count");
}

#[test]
fn races_in_buffers() {
    for body in [
        "out[0] = i;",
        "out[i] = 1u;",
        "out[id.x / 2u] = 1u;",
        "out[id.x & 15u] = 1u;",
        "out[id.y] = 1u;",
        "out[words[id.x]] = 1u;",
        "out[group.x] = i;",
        "out[id.x * 3000000u] = 1u;",
        "out[id.x + id.x] = 1u; out[id.x * 2u + words[0]] = 2u;",
        "out[id.x] = out[id.x + 1u];",
        "out[id.x * 2u + (words[id.x] & 3u)] = 1u;",
        "if i == 0u { out[0] = 1u; }",
        "var k = id.x; out[k] = 1u; k = k + 1u; out[k] = 1u;",
        "if i < 3u { out[group.x] = 1u; }",
        "if i == 0u { out[group.x] = 1u; } if i == 1u { out[group.x] = 2u; }",
        // What is compared with the bound, or stepped from, is what the counter held before the loop: it comes round, or is
        // the same for all.
        "var k = id.x; let start = k; for (var n = 0u; start < 9u; k += 0x80000001u) { out[k] = n; n++; if n > 2u { break; } }",
        "if id.x < 4u { var k = 5u; let old = k; k = id.x; for (; k < 9u; k = old + 4u) { out[k] = id.x; } }",
    ] {
        inexact(&main(body), 6, "global_invocation_id.x");
    }
    let two = main("out[id.x] = 1u;").replace("(256)", "(16, 16)");
    inexact(&two, 6, "global_invocation_id.x");
}

#[test]
fn races_in_workgroup_memory() {
    for (body, line) in [
        ("x[0] = i;", 6),
        ("x[i] = 1u;\nout[id.x] = x[i + 1u];", 7),
        ("x[i] = 1u;\nif words[0] > 1u { workgroupBarrier(); }\nout[id.x] = x[255u - i];", 8),
        // Without the guard.
        ("for (var s = 128u; s > 0u; s >>= 1u) {\nx[i] += x[i + s];\nworkgroupBarrier(); }", 7),
        // Without the barrier.
        ("for (var s = 128u; s > 0u; s >>= 1u) {\nif i < s { x[i] += x[i + s]; } }", 7),
        // The barrier comes too late for what the iteration before did.
        (
            "for (var s = 128u; s > 0u; s >>= 1u) {\nif s < 128u { workgroupBarrier(); }\nif i < s { x[i] += x[i + s]; } }",
            8,
        ),
        // `s` changes between guard and use.
        ("var s = 128u; let old = s; s = 1u;\nif i < old { x[i] += x[i + s]; }", 7),
        // Wraps: invocation 1 reads what invocation 0 writes.
        ("var s = words[0];\nif i < s { x[i] += x[i + s]; }", 7),
        // Left before the barrier.
        ("loop { x[i] = words[0];\nif words[1] == 3u { break; }\nworkgroupBarrier(); }\nout[id.x] = x[255u - i];", 9),
        (
            "loop { x[i] = words[i];\nif words[1] < 9u { continue; }\nworkgroupBarrier();\ncontinuing { out[id.x] = x[255u - i]; break if words[2] == 1u; } }",
            9,
        ),
        (
            "loop { x[i] = words[0];\nswitch words[1] { case 1u: { continue; } default: { } }\nworkgroupBarrier();\ncontinuing { out[id.x] = x[255u - i]; break if words[2] == 1u; } }",
            9,
        ),
        (
            "switch words[0] { case 1u: { x[i] = 1u; if words[1] == 2u { break; }\nworkgroupBarrier(); } default: { } }\nout[id.x] = x[255u - i];",
            8,
        ),
        // Who goes through one case does not pass the barrier in another.
        (
            "x[i] = words[i];\nswitch words[0] { default: { } case 1u: { workgroupBarrier(); } }\nout[id.x] = x[255u - i];",
            8,
        ),
        ("switch words[0] { default: { x[i] = 1u; } case 1u: { workgroupBarrier(); } }\nout[id.x] = x[255u - i];", 7),
        (
            "x[i] = 1u;\nswitch words[0] { case 1u: { workgroupBarrier(); } case 2u: { }\ndefault: { workgroupBarrier(); } }\nout[id.x] = x[255u - i];",
            9,
        ),
        ("x[i] = 1u; storageBarrier();\nout[id.x] = x[255u - i];", 7),
        ("if i == 3u { x[i] = 1u; } else {\n out[id.x] = x[3]; }", 7),
    ] {
        let shader = Shader::parse(&main(body));
        // A loop that invocations may leave one by one is refused before any race is looked for.
        let Ok(shader) = shader else { panic!("{}\n{body}", shader.unwrap_err()) };
        let found = shader.findings().iter().any(|f| f.place.unwrap().line == line && f.reason.contains("\"x\""));
        assert!(found, "{:?}\n{body}", shader.findings());
    }
}

#[test]
fn barriers_some_do_not_reach() {
    for (body, line) in [
        ("if i < 3u {\nworkgroupBarrier(); }", 7),
        ("if id.x > 3u { return; }\nworkgroupBarrier();", 7),
        ("if x[3] > 3u {\nstorageBarrier(); }", 7),
        ("if out[3] > 3u {\nworkgroupBarrier(); }", 7),
        ("for (var k = 0u; k < i; k++) {\nworkgroupBarrier(); }", 7),
        ("for (var k = 0u; k < 9u; k++) {\nworkgroupBarrier();\nif k == i { break; } }", 7),
        ("for (var k = 0u; k < 9u; k++) {\nif k == i { continue; }\nworkgroupBarrier(); }", 8),
        ("loop {\nworkgroupBarrier();\ncontinuing { break if i == 3u; } }", 7),
        ("switch i { case 0u: {\nworkgroupBarrier(); } default: { } }", 7),
        ("switch words[0] { case 0u: { if i > 2u { break; }\nworkgroupBarrier(); } default: { } }", 7),
        ("var n = 1u; if i > 2u { n = 2u; }\nif n == 1u { workgroupBarrier(); }", 7),
        // Equal for all, unless some run out of their budget.
        ("var n = 0u; for (var k = 0u; k < 9u; k++) { n += 1u; }\nif n == 9u { workgroupBarrier(); }", 7),
        ("_ = workgroupUniformLoad(&x[i]);", 6),
    ] {
        refused(&main(body), Some(line), if body.contains('_') { "the same" } else { "reach this barrier" });
    }
    let helper = "fn wait(n: u32) {\n  if n == 1u { workgroupBarrier(); }\n}\n";
    refused(&format!("{helper}{}", main("wait(2u);")), Some(2), "reach this barrier");
    let helper = "fn wait() {\n  workgroupBarrier();\n}\n";
    refused(&format!("{helper}{}", main("if i > 2u { wait(); }")), Some(9), "reach this barrier");
}

#[test]
fn pointers_to_elements() {
    let helper = "fn put(p: ptr<function, u32>) {\n  *p = 1u;\n}\n";
    let wgsl = format!("{helper}{}", main("var a: array<u32, 4>; put(&a[1]);\nput(&a[i]); out[id.x] = a[1];"));
    refused(&wgsl, Some(10), "pass the value");
}

#[test]
fn text_that_nests_too_deep() {
    let deep = |body: &str| refused(&main(body), Some(6), "nests deeper");
    for operators in ["+i", "&i", ".x", "[0]", "*(i)", "+(i+i)"] {
        deep(&format!("var a = i{};", operators.repeat(20_000)));
    }
    deep(&format!("if i == 0u {{ }} {}", "else if i == 1u { } ".repeat(12_000)));
    deep(&format!("if i == 0u {{ }} {}", "else/**/if i == 1u { }//\u{2028}".repeat(8_000)));
    deep(&format!("if i == 0u {{ }} {}", "\u{200e}else if i == 1u { }".repeat(8_000)));
    deep(&format!("var a = i {};", "+/*;}*/ i".repeat(10_000)));
    deep(&"(".repeat(50_000));
    refused(&"{".repeat(50_000), Some(1), "nests deeper");
    // And what does not.
    let table = vec!["-1 + 2"; 2000].join(", ");
    Shader::parse(&main(&format!("var a = array({table}); out[id.x] = u32(a[0]);"))).unwrap();
    Shader::parse(&main(&"if i == 0u { } else { } ".repeat(1000))).unwrap();
    Shader::parse(&main(&format!("out[id.x] = i{};", "+i".repeat(400)))).unwrap();
    Shader::parse(&main(&format!("if i == 0u {{ }} {}", "else if i == 1u { } ".repeat(100)))).unwrap();
}

#[test]
fn declarations_that_nest_too_deep() {
    let chain = |count: usize, link: fn(usize) -> String| (0..count).map(link).collect::<String>();
    for (link, last) in [
        ((|n| format!("const a{n} = a{};\n", n + 1)) as fn(usize) -> String, "const a9000 = 1;"),
        (|n| format!("alias a{n} = a{};\n", n + 1), "alias a9000 = u32;"),
        (|n| format!("struct a{n} {{ x: a{} }}\n", n + 1), "struct a9000 { x: u32 }"),
        (|n| format!("fn a{n}() {{ a{}(); }}\n", n + 1), "fn a9000() { }"),
    ] {
        refused(&format!("{}{last}{}", chain(9_000, link), main("")), Some(1025), "more than 1024");
    }
    // Each no deeper than people write.
    for (first, link) in [
        ("const a0 = 1u;\n", (|n| format!("const a{} = array(array(array(a{n})));\n", n + 1)) as fn(usize) -> String),
        ("alias a0 = u32;\n", |n| format!("alias a{} = array<array<array<a{n}, 1>, 1>, 1>;\n", n + 1)),
        ("struct a0 { a: u32 }\n", |n| format!("struct a{} {{ a: array<a{n}, 1> }}\n", n + 1)),
    ] {
        let text = format!("{first}{}", chain(600, link));
        let line = Shader::parse(&format!("{text}{}", main(""))).map(drop).unwrap_err();
        assert!(line.reason.contains("types or constants that nest deeper"), "{line}");
        // A few are nobody's concern.
        Shader::parse(&format!("{first}{}{}", chain(20, link), main("out[id.x] = 1u;"))).unwrap();
    }
    let member =
        "struct Ray { hash: u32, way: u32 } fn hash(r: Ray) -> u32 { let way = 3u; return r.hash * r.way * way; }
        fn way(r: Ray) -> u32 { return hash(r); }";
    Shader::parse(&format!("{member}{}", main("out[id.x] = way(Ray(id.x, 2u));"))).unwrap();
}

#[test]
fn constants_that_explode() {
    let twice = |first: &str, link: fn(usize) -> String, count: usize| {
        let all = (0..count).map(link).collect::<String>();
        format!("{first}{all}\n{}", main("let all = c8; out[id.x] = all[0][0][0][0][0][0][0][0];"))
    };
    let plain = |n: usize| format!("const c{} = array(c{n}, c{n});", n + 1);
    let typed = |n: usize| format!("alias t{0} = array<t{n}, 2>; const c{0}: t{0} = array(c{n}, c{n});", n + 1);
    refused(&twice("const c0 = 1u;", plain, 40), Some(1), "what it stands for");
    refused(&twice("alias t0 = u32; const c0: t0 = 1;", typed, 40), Some(1), "what it stands for");
    Shader::parse(&twice("const c0 = 1u;", plain, 8)).unwrap();
    // In a function, and where one name stands for several.
    let chain: String = (0..40).map(|n| format!("const c{} = array(c{n}, c{n});", n + 1)).collect();
    refused(&main(&format!("const c0 = 1; {chain} let all = c40;")), Some(7), "what it stands for");
    let shadows = format!("const c = 1; {} let all = c; {}", "{ const c = array(c, c);".repeat(40), "}".repeat(40));
    refused(&main(&shadows), Some(7), "what it stands for");
    // Nothing of it is written out, and nobody has a use for it: it is never made, which would take 1.6 GB twice.
    let zeros = format!("const NONE = array<u32, 16000>(); const ALL = array({});\n", vec!["NONE"; 25_000].join(","));
    let shader = Shader::parse(&format!("{zeros}{}", main("out[id.x] = 1u;"))).unwrap();
    assert_eq!(shader.class(), Class::Exact, "{:?}", shader.findings());
    // A table, copied at each use.
    let table = format!("const TABLE = array({});\n", vec!["1u"; 4000].join(","));
    let uses = |count: usize| main(&format!("var s = 0u; {} out[id.x] = s;", "s += TABLE[3];".repeat(count)));
    refused(&format!("{table}{}", uses(2000)), Some(8), "what it stands for");
    Shader::parse(&format!("{table}{}", uses(20))).unwrap();
}

#[test]
fn values_that_are_too_large() {
    let twice: String = (0..27).map(|n| format!("let v{} = array(v{n}, v{n}); ", n + 1)).collect();
    for body in [
        "let a = array<u32, 100000000>(); out[id.x] = a[id.x];",
        "let a = array<u32, 4097>(); out[id.x] = a[id.x];",
        "let a = big; out[id.x] = a[0];",
        "out[id.x] = TABLE[id.x];",
        &format!("let v0 = id.x; {twice} let all = v27; _ = all;"),
    ] {
        let wgsl = main(body);
        let declared = format!(
            "@group(0) @binding(2) var<storage, read> big: array<u32, 5000>; const TABLE = array({});\n",
            vec!["7u"; 5000].join(",")
        );
        refused(&format!("{declared}{wgsl}"), Some(7), "a value of more than");
    }
    let table = format!("const TABLE = array({});\n", vec!["7u"; 4096].join(","));
    Shader::parse(&format!("{table}{}", main("out[id.x] = TABLE[id.x]; x = array<u32, 256>();"))).unwrap();
}

#[test]
fn functions_that_explode() {
    let mut text = "fn f0(a: u32) -> u32 { return a; }\n".to_owned();
    for n in 1..40 {
        text += &format!("fn f{n}(a: u32) -> u32 {{ return f{m}(a) + f{m}(a + 1u); }}\n", m = n - 1);
    }
    refused(&format!("{text}{}", main("out[id.x] = f39(1u);")), Some(16), "call");
    let mut chain = "fn f0() { }\n".to_owned();
    for n in 1..=70 {
        chain += &format!("fn f{n}() {{ f{}(); }}\n", n - 1);
    }
    refused(&format!("{chain}{}", main("f70();")), Some(66), "in a row");
}

#[test]
fn what_has_no_place_in_a_kernel() {
    // Not in the comment.
    let built_in = "// subgroup_size\n@compute @workgroup_size(1)\nfn main(@builtin(subgroup_size) n: u32) { }";
    refused(built_in, Some(3), "subgroups are not allowed");
    let built_in = "struct In {\n@builtin(subgroup_id) n: u32 }\n@compute @workgroup_size(1) fn main(in: In) { }";
    refused(built_in, Some(2), "subgroups are not allowed");
    for call in [
        "out[id.x] = subgroupAdd(i);",
        "out[id.x] = subgroupShuffle(i, 3u);",
        "_ = subgroupBallot(i == 3u);",
        "subgroupBarrier();",
    ] {
        refused(&main(&format!("\n{call}")), Some(7), "subgroups are not allowed");
    }
    let texture = "\n@group(0) @binding(7) var picture: texture_2d<u32>;\n";
    refused(
        &format!("{texture}{}", main("out[id.x] = textureLoad(picture, vec2<u32>(), 0).x;")),
        Some(2),
        "textures are not",
    );
    refused(&format!("override n: u32 = 4;{}", main("out[id.x] = n;")), Some(1), "override");
    refused(&main("let a = 1u +;"), Some(6), "expected");
    refused(&" ".repeat(limits::SHADER_BYTES + 1), None, "at most");
    refused(&main("out[0] = 1.5;"), Some(6), "");
}

/// The whole sentence, and the place from which it is said.
#[test]
fn mistakes_are_told_in_names_and_types() {
    let say = |wgsl: &str| Shader::parse(wgsl).map(|shader| shader.class()).expect_err(wgsl).to_string();
    let helper = "fn half(at: vec2<u32>, n: u32) -> u32 { return at.x + n; }\n";
    for (body, want) in [
        ("out[id.x] = half(\nvec2<i32>(1, 2), 3u);", "8:1: \"half\" takes at: vec2<u32>, and is given vec2<i32> here"),
        ("out[id.x] = i +\n1i;", "7:13: u32 + i32: u32 and i32 do not mix; convert one, as in u32(..)"),
        ("_ = vec2<u32>() + vec3<u32>();", "7:5: there is no vec2<u32> + vec3<u32>"),
        ("_ = i % 2.0;", "7:9: a number without a type meets one that has another; write its type, as in 2u, 2i or 2f"),
        ("_ = -i;", "7:5: there is no - of u32"),
        ("var a: array<u32, 4>;\na[9] = 1u;", "8:1: index 9 is past the end of array<u32, 4>"),
        ("x[id] = 1u;", "7:1: an index is an i32 or u32, and this is of type vec3<u32>"),
        ("words[id.x] = 1u;", "7:1: \"words\" can only be read; to write it, declare it as var<storage, read_write>"),
        ("x = 5u;", "7:5: u32 is assigned to what is of type array<u32, 256>"),
        ("_ = words;", "7:5: array<u32> has no constant size and is not read as a whole; index it"),
        ("\nif id.x { }", "8:4: this condition is of type u32, and must be a bool"),
        ("return 5u;", "7:8: u32 is returned from \"main\", which returns nothing"),
        (
            "var v = 3lu;",
            "7:9: u64 is not allowed: not every adapter has it; the block \"wide\" has 64-bit integers as vec2<u32>",
        ),
        // What nobody has put into other words.
        ("break;", "7:1: The `break` is used outside of a `loop` or `switch` context"),
    ] {
        assert_eq!(say(&format!("{helper}{}", main(body))), format!("line {want}"), "{body}");
    }
    for (text, want) in [
        (
            "fn f(a: u32) -> u32 {\nif a > 1u { return 3u; } }",
            "1:1: \"f\" returns u32, and has a way through it without a return",
        ),
        ("fn f(a: i32) -> u32 {\nreturn a; }", "1:6: i32 is returned from \"f\", which returns u32"),
        (
            "fn f(p: ptr<storage, u32>) { }",
            "1:1: \"p\" points to what invocations share, which functions cannot be given; pass the index, and name the variable",
        ),
        (
            "@group(0) @binding(7) var<storage> flags: array<bool>;",
            "1:23: \"flags\" cannot be of type array<bool>; buffers hold numbers (a bool as a u32), vectors, arrays and structs of them",
        ),
        (
            "var<workgroup> many: array<u32>;",
            "1:1: \"many\" cannot be of type array<u32>; outside of buffers the size must be constant, and atomics are in workgroup \
             variables only",
        ),
        (
            "struct S {\na: array<u32>, b: u32 }",
            "1:1: \"a\" has no constant size; only the last member of \"S\" may be such an array",
        ),
        (
            "struct Wide { a: u64 }",
            "1:18: u64 is not allowed: not every adapter has it; the block \"wide\" has 64-bit integers as vec2<u32>",
        ),
        (
            "@group(0) @binding(7) var<uniform> u: u32;",
            "1:23: uniform buffers are not available: use var<storage, read>",
        ),
    ] {
        assert_eq!(say(&format!("{text}\n{}", main("out[id.x] = 1u;"))), format!("line {want}"), "{text}");
    }
    let again = "@group(0) @binding(1) var<storage, read> again: array<u32>;\n";
    let said = say(&format!("{again}{}", main("out[id.x] = words[id.x] + again[id.x];")));
    assert!(said.contains("binding 1 is declared twice, by \"again\" and \"words\""), "{said}");
}

/// The variable and its index as they are written come first, then the one hint that is nearest.
#[test]
fn races_are_told_with_what_was_written_and_what_to_write() {
    let first = |body: &str| {
        let shader = Shader::parse(&main(body)).unwrap();
        let said = shader.findings()[0].reason.clone();
        assert!(said.len() < 330, "{} characters: {said}", said.len());
        said
    };
    for (body, at, hint) in [
        ("out[words[id.x] & 255u] = 1u;", "`out[words[id.x] & 255u]`", "atomicAdd for what is counted"),
        // Where it is written, not where it is read for that.
        ("out[words[id.x]] += 1u;", "`out[words[id.x]]`", "atomicAdd for what is counted"),
        ("out[0] = i;", "`out[0]`", "one place for all"),
        ("out[i] = 1u;", "`out[i]`", "every workgroup has the same local_invocation_id"),
        ("out[group.x] = i;", "`out[group.x]`", "`if local_invocation_index == 0u`"),
        ("out[id.x] = out[id.x + 1u];", "`out[id.x + 1u]`", "read from another buffer"),
    ] {
        let said = first(body);
        assert!(
            said.starts_with(&format!("\"out\" is written, and different invocations may meet at {at}: ")),
            "{said}"
        );
        assert!(said.contains(hint), "{said}");
    }
    let said = first("x[i] = 1u; out[id.x] = x[i + 1u];");
    assert!(
        said.starts_with(
            "between two barriers one invocation may use what another writes in \"x\", at `x[i + 1u]`: put a"
        ),
        "{said}"
    );
    let long = format!("out[words[{}0u]] = 1u;", "id.x +\n  ".repeat(100));
    assert!(first(&long).contains("`out[words[id.x + id.x + id.x + id.x + id.x + id.x + id.x + i..`"));
}

#[test]
fn a_place_is_told_once() {
    for body in ["out[id.x] = u32(f32(words[id.x]) * 0.1);", "for (var k = 0u; k < 4u; k++) { out[0] = k; }"] {
        let shader = Shader::parse(&main(body)).unwrap();
        let mut said: Vec<_> = shader.findings().iter().map(ToString::to_string).collect();
        let all = said.len();
        said.dedup();
        assert_eq!(said.len(), all, "{said:?}");
    }
}

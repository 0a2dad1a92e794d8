//! Shaders from a generator: whatever is accepted is valid after rewriting (which [`Shader::parse`] checks), writes out as
//! WGSL that is accepted again, and nothing panics, on text that is wrong least of all.

use p2c2r_shader::Shader;
use proptest::prelude::*;

/// An expression of type `u32` over the names in scope.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("id.x".to_owned()),
        Just("a".to_owned()),
        Just("words[0]".to_owned()),
        // Not constants: naga computes those, and refuses overflows, divisions by zero and large shifts in them.
        any::<u32>().prop_map(|n| format!("(a ^ {n}u)")),
        (0u32..40).prop_map(|n| format!("(a + {n}u)")),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            (two.clone(), prop::sample::select(vec!["+", "-", "*", "/", "%", "&", "|", "^"]))
                .prop_map(|((l, r), op)| format!("({l} {op} {r})")),
            two.clone().prop_map(|(l, r)| format!("(({l}) << ({r}))")),
            two.clone().prop_map(|(l, r)| format!("(vec2({l}, 1u) >> vec2({r})).y")),
            two.clone().prop_map(|(l, r)| format!("bitcast<u32>(bitcast<i32>({l}) >> ({r}))")),
            inner.clone().prop_map(|e| format!("words[{e}]")),
            inner.clone().prop_map(|e| format!("out[{e}]")),
            inner.clone().prop_map(|e| format!("local[{e}]")),
            inner.clone().prop_map(|e| format!("grid[{e}][i32({e})]")),
            inner.clone().prop_map(|e| format!("pairs[{e}].b[{e}]")),
            inner.clone().prop_map(|e| format!("helper({e})")),
            (two, inner.clone()).prop_map(|((c, l), r)| format!("select({l}, {r}, {c} < 9u)")),
            inner.prop_map(|e| format!("u32(f32({e}) * 0.5)")),
        ]
    })
}

fn statement() -> impl Strategy<Value = String> {
    let e = expression;
    let leaf = prop_oneof![
        e().prop_map(|v| format!("a = {v};")),
        (e(), e()).prop_map(|(i, v)| format!("out[{i}] = {v};")),
        (e(), e()).prop_map(|(i, v)| format!("local[{i}] = {v};")),
        (e(), e()).prop_map(|(i, v)| format!("grid[{i}][{v}] += {v};")),
        (e(), e()).prop_map(|(i, v)| format!("{{ let p = pairs[{i}]; pairs[{v}] = p; }}")),
        (e(), e()).prop_map(|(i, v)| format!("atomicAdd(&bins[{i}], {v});")),
        (e(), e()).prop_map(|(i, v)| format!("a = atomicMax(&bins[{i}], {v});")),
        Just("workgroupBarrier();".to_owned()),
        Just("change(&local);".to_owned()),
        Just("return;".to_owned()),
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        let block = prop::collection::vec(inner, 0..4).prop_map(|lines| lines.join("\n"));
        let cut = prop::sample::select(vec!["", "break;", "continue;", "if a > 3u { break; }"]);
        prop_oneof![
            (e(), block.clone(), block.clone()).prop_map(|(c, l, r)| format!("if {c} > 4u {{ {l} }} else {{ {r} }}")),
            (e(), block.clone(), cut.clone())
                .prop_map(|(n, b, cut)| format!("for (var k = 0u; k < {n}; k++) {{ {b} {cut} }}")),
            (e(), block.clone(), cut)
                .prop_map(|(n, b, cut)| format!("loop {{ {b} {cut} continuing {{ a += 1u; break if a > {n}; }} }}")),
            (e(), block.clone(), block)
                .prop_map(|(s, l, r)| format!("switch {s} {{ case 1u, 2u: {{ {l} }} default: {{ {r} }} }}")),
        ]
    })
}

fn shader() -> impl Strategy<Value = String> {
    prop::collection::vec(statement(), 1..6).prop_map(|lines| {
        format!(
            "struct Pair {{ a: u32, b: array<u32, 3> }}
             @group(0) @binding(0) var<storage, read_write> out: array<u32>;
             @group(0) @binding(1) var<storage, read> words: array<u32>;
             @group(0) @binding(2) var<storage, read_write> pairs: array<Pair>;
             @group(0) @binding(3) var<storage, read_write> bins: array<atomic<u32>, 9>;
             var<workgroup> grid: array<array<u32, 5>, 7>;
             fn helper(n: u32) -> u32 {{
                 var m = n;
                 while m > 9u {{ m -= 7u; if m == 12u {{ return 3u; }} }}
                 return m;
             }}
             fn change(p: ptr<function, array<u32, 8>>) {{ (*p)[helper((*p)[2])] = 1u; }}
             @compute @workgroup_size(8) fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
                 var a = 0u;
                 var local: array<u32, 8>;
                 {}
             }}",
            lines.join("\n")
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_is_accepted_is_valid_after_rewriting(wgsl in shader()) {
        match Shader::parse(&wgsl) {
            Ok(shader) => {
                let module = shader.rewritten().module();
                let mut validator = naga::valid::Validator::new(
                    naga::valid::ValidationFlags::all(),
                    naga::valid::Capabilities::empty(),
                );
                let info = validator.validate(module).unwrap();
                naga::back::wgsl::write_string(module, &info, naga::back::wgsl::WriterFlags::empty()).unwrap();
                shader.rewritten().sliced().unwrap();
            }
            // The generator puts barriers anywhere, and drops code behind `break` and `return`.
            Err(finding) => prop_assert!(!finding.reason.contains("rewritten"), "{}\n{}", finding, wgsl),
        }
    }

    #[test]
    fn damaged_text_is_an_error_not_a_crash(wgsl in shader(), at in any::<prop::sample::Index>(), with in "[ -~]{0,6}") {
        let at = at.index(wgsl.len());
        let mut damaged = wgsl.clone();
        damaged.replace_range(at..(at + 3).min(wgsl.len()), &with);
        if let Err(finding) = Shader::parse(&damaged) {
            prop_assert!(!finding.reason.contains("rewritten"), "{}\n{}", finding, damaged);
        }
    }
}

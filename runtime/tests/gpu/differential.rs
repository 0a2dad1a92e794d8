//! The reference against the adapter, on generated shaders and on ours. `shader_soak` (an example) takes any number of them.

use p2c2r_runtime::gpu::Shaders;

use crate::bench::adapter;
use crate::judges::{Inputs, Judgement, Times, accept, inputs, judge, module, shader};

/// Generated shaders in the ordinary tests.
const SHADERS: u64 = 48;

#[test]
fn generated_shaders_are_the_same_in_every_order_and_on_the_adapter() {
    let generated: Vec<_> = (0..SHADERS).map(|seed| (seed, shader(seed))).collect();
    let (accepted, refused): (Vec<_>, Vec<_>) = generated
        .into_iter()
        .map(|(seed, text)| (seed, text.wgsl(), text))
        .partition(|(_, wgsl, _)| accept(wgsl).is_ok());
    for (seed, wgsl, _) in &refused {
        eprintln!("seed {seed} is refused: {:?}", accept(wgsl));
    }
    assert!(accepted.len() * 10 >= SHADERS as usize * 9, "{} of {SHADERS} are exact", accepted.len());
    let texts: Vec<&str> = accepted.iter().map(|(_, wgsl, _)| wgsl.as_str()).collect();
    let module = module(&texts);
    let shaders = Shaders::of(&module).unwrap();
    for (index, (seed, wgsl, text)) in accepted.iter().enumerate() {
        let judgement = judge(adapter(), &shaders, index, &inputs(*seed, text), &mut Times::default());
        assert!(matches!(judgement, Judgement::Agrees { .. }), "seed {seed}: {judgement:?}\n{wgsl}");
    }
}

#[test]
fn our_own_exact_shaders_are_the_same() {
    let probe = include_str!("../../src/gpu/probe/integers.wgsl");
    // One workgroup, so that its places are its own.
    let probe = probe.replace("let at = i * 16u;", "let at = id.x * 16u;").replace(
        "fn main(@builtin(local_invocation_index) i: u32)",
        "fn main(@builtin(local_invocation_index) i: u32, @builtin(global_invocation_id) id: vec3<u32>)",
    );
    let words = |count: u32, by: u32| (0..count).map(|n| (n + 3).wrapping_mul(by)).collect::<Vec<_>>();
    let cases = [(probe.as_str(), vec![(0, words(128, 2_654_435_761)), (1, vec![0; 1024])])];
    let texts: Vec<&str> = cases.iter().map(|(text, _)| *text).collect();
    let module = module(&texts);
    let shaders = Shaders::of(&module).unwrap();
    for (index, (wgsl, buffers)) in cases.into_iter().enumerate() {
        let judgement =
            judge(adapter(), &shaders, index, &Inputs { buffers, groups: [1, 1, 1] }, &mut Times::default());
        assert_eq!(judgement, Judgement::Agrees { trapped: false }, "{wgsl}");
    }
}

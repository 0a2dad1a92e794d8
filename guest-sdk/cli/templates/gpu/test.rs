//! The kernel on the mock host; no Wasm is needed. The host runs no WGSL, so Rust stands in for the shader.

use kernel_IDENT::{mix, mixed};
use p2c2r_guest::testing::{Host, run};
use p2c2r_guest::{Postcard, encode};

#[test]
fn mixes_with_a_gpu_and_without() {
    let input = encode(Postcard(vec![7u32, 8])).unwrap();
    let with = Host::new().input(input.clone()).shader("mix", |_workgroups, buffers| {
        for (at, word) in (0..).zip(buffers.get_mut(&0).unwrap().chunks_exact_mut(4)) {
            let number = u32::from_le_bytes(word.try_into().unwrap());
            word.copy_from_slice(&mixed(at, number).to_le_bytes());
        }
    });
    for report in [with.run(mix), run(mix, input)] {
        assert_eq!(report.output_as::<Postcard<Vec<u32>>>().unwrap().0, [mixed(0, 7), mixed(1, 8)]);
        assert_eq!((report.units, report.leaked_buffers), (2, 0));
    }
    // Postcard of no numbers.
    assert_eq!(run(mix, [0]).message(), "nothing to mix");
}

//! The kernel on the mock host; no Wasm is needed.

use kernel_IDENT::sum;
use p2c2r_guest::testing::run;
use p2c2r_guest::{Postcard, encode};

#[test]
fn adds() {
    let report = run(sum, encode(Postcard(vec![1u32, 2])).unwrap());
    assert_eq!(report.output_as::<Postcard<u64>>().unwrap().0, 3);
    assert_eq!(report.units, 2);
    // Postcard of no numbers.
    assert_eq!(run(sum, [0]).message(), "nothing to add");
}

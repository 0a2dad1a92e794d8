//! What one run of a small kernel costs. Prints figures, judges nothing: `cargo test -p p2c2r-runtime -- --ignored --nocapture cost`.

use std::time::Instant;

use p2c2r_runtime::Attempt;
use p2c2r_signing::{Limits, Manifest};

use crate::kit::{core, load, manifest, sandbox};

#[test]
#[ignore = "prints figures"]
fn cost_of_a_run() {
    let echo = "(drop (call $input_read (i32.const 0) (i32.const 1000000) (call $input_len)))
        (drop (call $output_write (i32.const 1000000) (call $input_len))) (call $charge (i64.const 1))";
    let limits = Limits { memory_bytes: 32 << 20, ..manifest().limits };
    for (pages, input_bytes) in [(17, 128), (17, 4096), (17, 65_536), (256, 128)] {
        let wat = core(echo).replace("(export \"memory\") 1)", &format!("(export \"memory\") {pages})"));
        let limits = Limits { output_bytes: 65_536, ..limits };
        let kernel = load(&wat, &Manifest { limits, ..manifest() }).unwrap();
        let attempt = Attempt::new(vec![7; input_bytes]);
        let mut times: Vec<_> = (0..2000)
            .map(|_| {
                let started = Instant::now();
                sandbox().run(&kernel, attempt.clone()).unwrap();
                started.elapsed()
            })
            .collect();
        times.sort_unstable();
        eprintln!("{pages} pages, {input_bytes} B: p50 {:?}, p99 {:?}", times[1000], times[1980]);
    }
}

//! Frames cut over real peers, small.

use crate::ran;

#[test]
fn a_frame_has_the_same_bytes_however_many_peers_it_is_cut_over() {
    // That the bytes are the same is checked by the run itself.
    let ran = ran("raytrace.wasm", &["--split", "--quick"]);
    let shown = &ran.shown;
    let runs = ran.figures["runs"].as_array().unwrap();
    let of = |name: &str| runs.iter().map(|run| run[name].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!((of("peers"), of("parts"), of("slow_peers")), (vec![1, 2, 2], vec![1, 4, 4], vec![0, 0, 1]), "{shown}");
    assert!(runs.iter().all(|run| run["frame_ms"]["p50"].as_f64().unwrap() > 0.0), "{shown}");
}

//! The kernel as a task: splitting, charging, failing.

use kernel_voxels::{Frame, Rows, World, limits, model, voxels};
use p2c2r_guest::testing::{Host, Outcome};
use p2c2r_guest::{Decode as _, encode};

use crate::run;

#[test]
fn the_kernel_does_what_the_model_does() {
    let world = World::island(24, 2);
    // More samples than one dispatch takes.
    let input = Rows { rows: vec![9, 4, 5], ..Frame::harbour(&world, 20, 12, 11).all_rows() };
    let report = run(&world, &input);
    assert_eq!(report.outcome, Outcome::Output, "{}", report.message());
    assert_eq!(report.output, model::render(&world, &input));
    assert_eq!((report.units, report.leaked_buffers), (input.frame.units(3), 0));
}

#[test]
fn parts_joined_are_the_whole() {
    let world = World::island(32, 1);
    let frame = Frame::harbour(&world, 32, 18, 2);
    let part = |rows: &[u32]| run(&world, &Rows { frame, rows: rows.to_vec() }).output;
    let all: Vec<u32> = (0..18).collect();
    let whole = part(&all);
    assert_eq!(whole.len(), 32 * 18 * 3);
    assert_eq!(all.chunks(5).map(part).collect::<Vec<_>>().concat(), whole);
    assert!(part(&[]).is_empty());
    let colours: std::collections::BTreeSet<_> = whole.chunks_exact(3).collect();
    assert!(colours.len() > 200, "a picture, not a plane: {}", colours.len());
}

#[test]
fn input_and_blob_round_trip() {
    let world = World::island(20, 7);
    assert_eq!(World::parse(&world.to_bytes()).unwrap(), world);
    let rows = Rows { rows: vec![5, 2], ..Frame::harbour(&world, 7, 9, 3).all_rows() };
    assert_eq!(Rows::decode(encode(rows.clone()).unwrap()).unwrap(), rows);
}

#[test]
fn bad_input_is_named() {
    let world = World::island(16, 1);
    let good = Frame::harbour(&world, 8, 8, 1);
    for (rows, part) in [
        (Frame { width: 0, ..good }.all_rows(), "width is 0, must be 1 to 4096"),
        (Frame { samples: 1025, ..good }.all_rows(), "samples is 1025"),
        (Frame { bounces: 7, ..good }.all_rows(), "bounces is 7"),
        (Frame { zoom: -1, ..good }.all_rows(), "zoom is"),
        (Frame { eye: [0, 0, limits::PLACE + 1], ..good }.all_rows(), "is at 16777217"),
        (Frame { target: [i32::MIN, 0, 0], ..good }.all_rows(), "is at -2147483648"),
        (Rows { frame: good, rows: vec![8] }, "row 8 of a picture of 8 rows"),
        (Rows { frame: Frame { width: 4096, ..good }, rows: vec![0; 257] }, "1052672 pixels"),
    ] {
        let report = run(&world, &rows);
        assert!(report.message().contains(part), "{} lacks {part}", report.message());
        assert_eq!(report.units, 0);
    }
    let bytes = encode(good.all_rows()).unwrap();
    for cut in [0, 4, 63, bytes.len() - 1] {
        assert!(Rows::decode(bytes[..cut].to_vec()).is_err(), "{cut}");
    }
}

#[test]
fn bad_worlds_are_named() {
    let input = encode(Frame::harbour(&World::island(16, 1), 1, 1, 1).all_rows()).unwrap();
    let check = |change: &dyn Fn(&mut World), part: &str| {
        let mut world = World::island(16, 1);
        change(&mut world);
        let report = Host::new().input(input.clone()).blob(world.to_bytes()).run(voxels);
        assert!(report.message().contains(part), "{} lacks {part}", report.message());
    };
    check(&|world| world.side = 18, "a side of 18");
    check(&|world| world.side = 1 << 20, "a side of 1048576");
    check(&|world| world.side = 20, "bytes for 15 materials");
    check(&|world| world.voxels[9] = 15, "a voxel of material 15 of 15");
    check(&|world| world.materials[3].colour[1] = -1, "a colour of -1");
    check(&|world| world.materials[3].kind = 2, "a kind of 2, must be 0 to 1");
    check(&|world| world.materials[3].light[1] = i32::MAX, "a light of 2147483647");
    check(&|world| world.sky.sun[1] = i32::MIN, "a direction of the sun of 2147483647");
    check(&|world| world.sky.softness = 65537, "a softness of 65537");
    check(&|world| world.materials.truncate(0), "a voxel of material");
    let report = Host::new().input(input).blob(*b"nothing").run(voxels);
    assert!(report.message().contains("P2VW"), "{}", report.message());
}

#[test]
fn without_a_gpu_it_says_so() {
    let world = World::island(16, 1);
    let input = encode(Frame::harbour(&world, 1, 1, 1).all_rows()).unwrap();
    let report = Host::new().input(input).blob(world.to_bytes()).run(voxels);
    assert!(report.message().contains("without gpu"), "{}", report.message());
}

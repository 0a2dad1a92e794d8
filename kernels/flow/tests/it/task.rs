//! The kernel as a task: going on, charging, failing.

use kernel_flow::{Spring, Task, Terrain, Water, flow, limits, model};
use p2c2r_guest::testing::{Host, Outcome};
use p2c2r_guest::{Decode as _, encode, fixed};

use crate::{host, run};

#[test]
fn the_kernel_does_what_the_model_does() {
    let terrain = Terrain::valley(37, 2);
    let mut task = Task { rain: 900, ..Task::new(25, Water::none(terrain.cells())) };
    task.springs = vec![Spring { cell: 40, flow: 70_000 }];
    let report = run(&terrain, &task);
    assert_eq!(report.output_as::<Water>().unwrap(), model::simulate(&terrain, &task));
    assert_eq!((report.units, report.leaked_buffers), (37 * 37 * 25, 0));
}

#[test]
fn a_task_goes_on_where_another_ended() {
    let terrain = Terrain::valley(20, 8);
    let task = |steps, water| Task { rain: 5000, ..Task::new(steps, water) };
    let step = |task: &Task| run(&terrain, task).output_as::<Water>().unwrap();
    let whole = step(&task(30, Water::none(400)));
    assert_eq!(step(&task(20, step(&task(10, Water::none(400))))), whole);
    assert_eq!(step(&task(0, whole.clone())), whole);
}

#[test]
fn input_round_trips() {
    let mut task = Task::new(7, Water { depths: vec![1, 2, limits::DEPTH], flows: vec![[4, 5, 6, 7]; 3] });
    task.springs = vec![Spring { cell: 2, flow: -3 }; limits::SPRINGS];
    assert_eq!(Task::decode(encode(task.clone()).unwrap()).unwrap(), task);
    let terrain = Terrain::valley(9, 1);
    assert_eq!(Terrain::parse(&terrain.to_bytes()).unwrap(), terrain);
}

#[test]
fn bad_input_is_named() {
    let terrain = Terrain::valley(4, 1);
    let check = |change: &dyn Fn(&mut Task), part: &str| {
        let mut task = Task::new(1, Water::none(16));
        change(&mut task);
        let report = run(&terrain, &task);
        assert!(matches!(report.outcome, Outcome::Failed(_)), "{part}: {:?}", report.outcome);
        assert!(report.message().contains(part), "{} lacks {part}", report.message());
        assert_eq!(report.units, 0, "nothing was done");
    };
    check(&|task| task.steps = 1025, "steps is 1025, must be 0 to 1024");
    check(&|task| task.keep = fixed::ONE + 1, "keep is 65537");
    check(&|task| task.pull = -1, "pull is -1");
    check(&|task| task.rain = u32::MAX, "rain is 4294967295");
    check(&|task| task.springs = vec![Spring { cell: 16, flow: 0 }], "a spring in cell 16 of 16");
    check(&|task| task.springs = vec![Spring { cell: 0, flow: i32::MIN }], "a spring of -2147483648");
    check(&|task| task.springs = vec![Spring { cell: 0, flow: 0 }; 33], "33 springs");
    check(&|task| task.water.depths[3] = 1 << 30, "water of 1073741824");
    check(&|task| task.water.flows[3][2] = 1 << 30, "water of 1073741824");
    check(&|task| task.water = Water::none(15), "water of 15 cells for a terrain of 16");

    let good = encode(Task::new(1, Water::none(16))).unwrap();
    for cut in [0, 4, 31, 32, good.len() - 4] {
        let report = host(good[..cut].to_vec()).blob(terrain.to_bytes()).run(flow);
        assert!(matches!(report.outcome, Outcome::Failed(_)), "{cut} {:?}", report.outcome);
    }
    for (blob, part) in [
        (b"nope".to_vec(), "P2FT"),
        (vec![1; 7], "7 bytes"),
        (Terrain { width: 0, height: 0, ground: vec![] }.to_bytes(), "0 heights"),
        (Terrain { width: 1 << 16, height: 1 << 16, ground: vec![] }.to_bytes(), "0 heights for 65536 by 65536"),
        (Terrain { width: 1, height: 1, ground: vec![i32::MIN] }.to_bytes(), "-2147483648"),
    ] {
        let report = host(good.clone()).blob(blob).run(flow);
        assert!(report.message().contains(part), "{} lacks {part}", report.message());
    }
    let large = Terrain { width: 512, height: 512, ground: vec![0; 1 << 18] };
    let report = run(&large, &Task::new(513, Water::none(1 << 18)));
    assert!(report.message().contains("134479872 cells times steps"), "{}", report.message());
}

#[test]
fn without_a_gpu_it_says_so() {
    let input = encode(Task::new(1, Water::none(16))).unwrap();
    let report = Host::new().input(input).blob(Terrain::valley(4, 1).to_bytes()).run(flow);
    assert!(report.message().contains("without gpu"), "{}", report.message());
}

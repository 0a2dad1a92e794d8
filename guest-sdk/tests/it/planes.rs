//! Planes: their bounds, their borders, and how they are dispatched.

use p2c2r_guest::failure::code;
use p2c2r_guest::limits::PLANE_SIDE;
use p2c2r_guest::testing::{Host, Outcome};
use p2c2r_guest::{Context, Failure, GpuError, Plane, PlaneError, skeleton};

#[test]
fn sides_have_bounds() {
    for (width, height, problem) in [
        (1, 1, None),
        (1, PLANE_SIDE, None),
        (PLANE_SIDE, 1, None),
        (PLANE_SIDE, PLANE_SIDE, None),
        (0, 1, Some("the width of a plane is 0, must be 1 to 8192")),
        (1, 0, Some("the height of a plane is 0, must be 1 to 8192")),
        (PLANE_SIDE + 1, 1, Some("the width of a plane is 8193, must be 1 to 8192")),
        (1, PLANE_SIDE + 1, Some("the height of a plane is 8193, must be 1 to 8192")),
        (u32::MAX, u32::MAX, Some("the width of a plane is 4294967295, must be 1 to 8192")),
    ] {
        let plane = Plane::new(width, height);
        assert_eq!(plane.as_ref().err().map(ToString::to_string).as_deref(), problem);
        if let Ok(plane) = plane {
            assert_eq!((plane.width(), plane.height()), (width, height));
            assert_eq!(plane.places() as u64, u64::from(width) * u64::from(height));
        }
    }
    assert_eq!(Failure::from(Plane::new(0, 1).unwrap_err()).code(), code::BAD_INPUT);
}

#[test]
fn borders_are_clamped_or_wrapped() {
    let check = |width: u32, height: u32, at: [i32; 2], clamped: u32, wrapped: u32| {
        let plane = Plane::new(width, height).unwrap();
        let cells: Vec<u32> = (0..width * height).collect();
        let clamping = plane.stencil(&cells, |cells, _| cells.clamped(at)).unwrap();
        let wrapping = plane.stencil(&cells, |cells, _| cells.wrapped(at)).unwrap();
        assert_eq!((clamping[0], wrapping[0]), (clamped, wrapped), "{at:?} in {width} x {height}");
    };
    // 0 1 2
    // 3 4 5
    check(3, 2, [1, 1], 4, 4);
    check(3, 2, [-1, 0], 0, 2);
    check(3, 2, [3, 1], 5, 3);
    check(3, 2, [2, -1], 2, 5);
    check(3, 2, [0, 2], 3, 0);
    // Farther away than the plane is large.
    check(3, 2, [-7, 5], 3, 5);
    check(3, 2, [i32::MAX, i32::MIN], 2, 1);
    check(1, 1, [-1, 9], 0, 0);
}

#[test]
fn each_place_is_given_its_column_and_row() {
    let plane = Plane::new(3, 2).unwrap();
    let mut items = [10, 20, 30, 40, 50, 60];
    plane.map(&mut items, |[x, y], item| item + x + 3 * y).unwrap();
    assert_eq!(items, [10, 21, 32, 43, 54, 65]);
    assert_eq!(plane.stencil(&[0; 6], |_, [x, y]| x - 3 * y).unwrap(), [0, 1, 2, -3, -2, -1]);
}

#[test]
fn workgroups_cover_the_plane() {
    for (width, height, groups) in
        [(1, 1, [1, 1, 1]), (8, 8, [1, 1, 1]), (9, 8, [2, 1, 1]), (8, 9, [1, 2, 1]), (PLANE_SIDE, 17, [1024, 3, 1])]
    {
        let places = (width * height) as usize;
        // The size comes first, then what the skeleton works on, then the author's own.
        let host = Host::new()
            .shader("map", move |workgroups, bound| {
                assert_eq!(workgroups, groups, "{width} x {height}");
                assert_eq!(bound[&0], bytemuck::cast_slice::<u32, u8>(&[width, height]));
                assert_eq!((bound[&1].len(), bound[&2].len()), (places * 4, 8));
            })
            .shader("stencil", move |workgroups, bound| {
                assert_eq!(workgroups, groups, "{width} x {height}");
                assert_eq!(bound[&0], bytemuck::cast_slice::<u32, u8>(&[width, height]));
                assert_eq!([1, 2, 3].map(|binding| bound[&binding].len()), [places * 4, places * 4, 8]);
            });
        let report = host.run(move |ctx: &mut Context| -> Result<(), Failure> {
            let (gpu, plane) = (ctx.gpu().unwrap(), Plane::new(width, height)?);
            let [from, to] = [gpu.buffer::<u32>(places)?, gpu.buffer(places)?];
            let own = gpu.buffer::<u32>(2)?;
            skeleton::map2d(&gpu, "map", plane, &from, &[own.at(2)])?;
            skeleton::stencil2d(&gpu, "stencil", plane, &from, &to, &[own.at(3)])?;
            Ok(())
        });
        assert_eq!((report.outcome, report.leaked_buffers), (Outcome::Output, 0));
    }
}

#[test]
fn items_that_do_not_fit_are_named() {
    let plane = Plane::new(3, 5).unwrap();
    let refused = |result: Result<(), PlaneError>| result.unwrap_err().to_string();
    assert_eq!(refused(plane.map(&mut [0; 14], |_, item| item)), "\"items\" holds 14 items, a plane of 3 x 5 has 15");
    assert_eq!(
        refused(plane.stencil(&[0; 16], |_, _| 0).map(drop)),
        "\"from\" holds 16 items, a plane of 3 x 5 has 15"
    );
    let report = Host::new().shader("main", |_, _| panic!("dispatched")).run(move |ctx: &mut Context| {
        let gpu = ctx.gpu().unwrap();
        let [fits, short] = [gpu.buffer::<u32>(15).unwrap(), gpu.buffer(14).unwrap()];
        let refused = |buffer| Err(GpuError::Plane(PlaneError::Items { buffer, got: 14, width: 3, height: 5 }));
        assert_eq!(skeleton::map2d(&gpu, "main", plane, &short, &[]), refused("items"));
        assert_eq!(skeleton::stencil2d(&gpu, "main", plane, &short, &fits, &[]), refused("from"));
        assert_eq!(skeleton::stencil2d(&gpu, "main", plane, &fits, &short, &[]), refused("to"));
    });
    assert_eq!((report.outcome, report.leaked_buffers), (Outcome::Output, 0));
}

//! The blob: round trip, and nothing hostile gets through.

use kernel_raytrace::{Frame, Mesh, Scene, SceneError, render};

fn studio() -> Scene {
    Scene::studio(&Mesh::from_obj("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 2 3\nf 1 3 4\nf 1 4 2\nf 2 4 3").unwrap())
}

#[test]
fn blobs_round_trip() {
    let scene = studio();
    assert_eq!(Scene::parse(&scene.to_bytes()), Ok(scene));
}

#[test]
fn every_truncation_is_refused() {
    let bytes = studio().to_bytes();
    for cut in 0..bytes.len() {
        assert!(Scene::parse(&bytes[..cut]).is_err(), "{cut}");
    }
    let long = [&bytes[..], &[0]].concat();
    assert_eq!(Scene::parse(&long), Err(SceneError::Length { got: bytes.len() + 1, want: bytes.len() }));
}

#[test]
fn whatever_parses_can_be_traced() {
    // Each word in turn becomes each of these; what is accepted must neither panic nor run for ever.
    let bytes = studio().to_bytes();
    let input = Frame::studio(4, 3, 1).all_rows();
    let (mut refused, mut traced) = (0, 0);
    for word in (0..bytes.len()).step_by(4) {
        for value in
            [0, 1, 2, 0x7fff_ffff, 0xffff_ffff, f32::NAN.to_bits(), f32::INFINITY.to_bits(), (-1e5f32).to_bits()]
        {
            let mut bad = bytes.clone();
            bad[word..word + 4].copy_from_slice(&value.to_le_bytes());
            match Scene::parse(&bad) {
                Err(_) => refused += 1,
                Ok(scene) => {
                    traced += 1;
                    assert_eq!(render(&scene, &input).len(), 4 * 3 * 3);
                }
            }
        }
    }
    assert!(refused > 200 && traced > 200, "{refused} {traced}");
}

#[test]
fn errors_name_the_part() {
    let scene = studio();
    let check = |broken: &dyn Fn(&mut Scene), needle: &str| {
        let mut bad = scene.clone();
        broken(&mut bad);
        let error = Scene::parse(&bad.to_bytes()).unwrap_err();
        assert!(error.to_string().contains(needle), "{error}");
    };
    check(&|s| s.triangles[1].vertices[2] = 4, "triangle 1");
    check(&|s| s.triangles[0].material = 99, "triangle 0");
    check(&|s| s.spheres[2].radius = 0.0, "sphere 2");
    check(&|s| s.vertices[3].position.x = f32::NAN, "vertex 3");
    check(&|s| s.materials[3].index = 0.5, "material 3");
    check(&|s| s.nodes[0].first = 0, "node 0");
    check(&|s| s.spheres.resize(9, s.spheres[0]), "at most 8");
    assert!(matches!(Scene::parse(b"P2RTxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), Err(SceneError::Magic(_))));
}

//! The kernel as a task: splitting, charging, failing; and its use of the GPU against a stand-in for the shader.

use kernel_raytrace::camera::Params;
use kernel_raytrace::{Frame, Mesh, Rows, Scene, code, raytrace, render, trace};
use p2c2r_guest::testing::{Host, Outcome};

fn scene() -> Scene {
    Scene::studio(&Mesh::procedural())
}

#[test]
fn parts_joined_are_the_whole() {
    let blob = scene().to_bytes();
    let frame = Frame::studio(32, 18, 2);
    let run = |rows: &[u32]| {
        let input = Rows { frame, rows: rows.to_vec() }.to_bytes();
        let report = Host::new().input(input).blob(blob.clone()).run(raytrace);
        assert_eq!(report.outcome, Outcome::Output, "{}", report.message());
        assert_eq!(report.units, frame.units(rows.len()));
        report.output
    };
    let all: Vec<u32> = (0..18).collect();
    let whole = run(&all);
    assert_eq!(whole.len(), 32 * 18 * 3);
    assert_eq!(all.chunks(5).map(run).collect::<Vec<_>>().concat(), whole);
    assert!(run(&[]).is_empty());
    // A picture, not a plane: many colours.
    let colours: std::collections::BTreeSet<_> = whole.chunks_exact(3).collect();
    assert!(colours.len() > 200, "{}", colours.len());
}

#[test]
fn a_task_without_a_scene_fails_with_a_reason() {
    let input = Frame::studio(2, 2, 1).all_rows().to_bytes();
    let report = Host::new().input(input.clone()).run(raytrace);
    assert!(matches!(report.outcome, Outcome::Failed(_)));
    assert!(report.message().contains("blob 0"), "{}", report.message());
    let report = Host::new().input(input).blob(*b"not a scene").run(raytrace);
    assert_eq!(report.outcome, Outcome::Failed(code::SCENE));
    let report = Host::new().input(*b"short").blob(scene().to_bytes()).run(raytrace);
    assert!(report.message().contains("5 bytes"), "{}", report.message());
}

#[test]
fn the_gpu_path_gives_the_shader_what_it_needs() {
    // The shader's job done natively, from nothing but the bound buffers.
    let shader = |groups: [u32; 3], buffers: &mut std::collections::BTreeMap<u32, Vec<u8>>| {
        let params: Params = bytemuck::pod_read_unaligned(&buffers[&0]);
        let camera = params.camera;
        assert_eq!(groups, [camera.width.div_ceil(8), camera.rows.div_ceil(8), 1]);
        let scene = Scene {
            environment: params.environment,
            spheres: params.spheres[..camera.spheres as usize].to_vec(),
            materials: params.materials[..camera.materials as usize].to_vec(),
            nodes: list(&buffers[&1]),
            vertices: list(&buffers[&2]),
            triangles: list(&buffers[&3]),
        };
        let rows: Vec<u32> = list(&buffers[&4]);
        let mut light: Vec<[f32; 4]> = list(&buffers[&5]);
        for (i, row) in rows.iter().enumerate() {
            for x in 0..camera.width {
                for s in 0..camera.samples {
                    let add = trace::sample(&scene, &camera, x, *row, camera.first_sample + s).to_array();
                    let slot = &mut light[i * camera.width as usize + x as usize];
                    (0..3).for_each(|k| slot[k] += add[k]);
                }
            }
        }
        buffers.insert(5, bytemuck::cast_slice(&light).to_vec());
    };
    let scene = scene();
    // More samples than one dispatch takes.
    let input = Rows { rows: vec![9, 4, 5], ..Frame::studio(20, 12, 11).all_rows() };
    let host = Host::new().input(input.to_bytes()).blob(scene.to_bytes()).shader("trace", shader);
    let report = host.run(raytrace);
    assert_eq!(report.outcome, Outcome::Output, "{}", report.message());
    assert_eq!(report.output, render(&scene, &input));
    assert_eq!((report.units, report.leaked_buffers), (input.frame.units(3), 0));
}

fn list<T: bytemuck::Pod>(bytes: &[u8]) -> Vec<T> {
    let mut values = vec![T::zeroed(); bytes.len() / size_of::<T>()];
    bytemuck::cast_slice_mut(&mut values).copy_from_slice(bytes);
    values
}

#[test]
fn an_empty_mesh_renders() {
    let scene = Scene { nodes: Vec::new(), vertices: Vec::new(), triangles: Vec::new(), ..scene() };
    assert_eq!(Scene::parse(&scene.to_bytes()).as_ref(), Ok(&scene));
    assert_eq!(render(&scene, &Frame::studio(8, 4, 1).all_rows()).len(), 8 * 4 * 3);
}

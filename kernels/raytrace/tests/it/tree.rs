//! The BVH against trying every triangle.

use kernel_raytrace::bvh::{self, Ray};
use kernel_raytrace::limits::{DEPTH, LEAF_TRIANGLES, STEPS};
use kernel_raytrace::random::{Random, on_sphere};
use kernel_raytrace::scene::Scene;
use kernel_raytrace::vector::vec3;
use kernel_raytrace::{Camera, Frame, Mesh, Vec3, trace};

fn scene(mesh: &Mesh) -> Scene {
    let mut scene = Scene::studio(mesh);
    scene.spheres.clear();
    scene.environment = bytemuck::Zeroable::zeroed();
    scene
}

/// Every triangle as a tree of its own.
fn brute_force(scene: &Scene, ray: &Ray) -> Option<(u32, f32)> {
    (0..scene.triangles.len() as u32)
        .filter_map(|number| {
            let mut single = scene.nodes[0];
            (single.first, single.count) = (number, 1);
            let (hit, _) = bvh::nearest(&[single], &scene.vertices, &scene.triangles, ray, 1e6);
            hit.map(|hit| (number, hit.t))
        })
        .min_by(|a, b| a.1.total_cmp(&b.1))
}

#[test]
fn the_tree_finds_what_trying_everything_finds() {
    let scene = scene(&Mesh::procedural());
    let mut hits = 0;
    for i in 0..300 {
        let mut random = Random::new(3, i, 0);
        let origin = on_sphere(random.pair()) * 4.0 + vec3(0.0, 1.0, 0.0);
        let target = on_sphere(random.pair()) * 0.9 + vec3(0.0, 1.0, 0.0);
        let ray = Ray::new(origin, (target - origin).normalised_or(vec3(0.0, 1.0, 0.0)));
        let (found, _) = bvh::nearest(&scene.nodes, &scene.vertices, &scene.triangles, &ray, 1e6);
        let want = brute_force(&scene, &ray);
        assert_eq!(found.map(|hit| hit.t), want.map(|(_, t)| t), "ray {i}");
        assert_eq!(bvh::blocked(&scene.nodes, &scene.vertices, &scene.triangles, &ray, 1e6), want.is_some(), "ray {i}");
        hits += u32::from(want.is_some());
    }
    assert!((50..280).contains(&hits), "{hits} of 300 hit: the test must see both");
}

#[test]
fn axis_parallel_rays_and_rays_in_the_planes_of_boxes_are_found() {
    let scene = scene(&Mesh::procedural());
    let down = Ray::new(vec3(0.6, 9.0, 0.0), vec3(0.0, -1.0, 0.0));
    assert_eq!(
        bvh::nearest(&scene.nodes, &scene.vertices, &scene.triangles, &down, 1e6).0.map(|h| h.t),
        brute_force(&scene, &down).map(|(_, t)| t)
    );
    let edge = Ray::new(vec3(scene.nodes[0].low.x, 9.0, scene.nodes[0].low.z), vec3(0.0, -1.0, 0.0));
    let _no_panic = bvh::nearest(&scene.nodes, &scene.vertices, &scene.triangles, &edge, 1e6);
}

#[test]
fn every_triangle_is_in_one_leaf_and_inside_its_boxes() {
    for mesh in [Mesh::procedural(), Mesh::from_obj("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3").unwrap()] {
        let scene = scene(&mesh);
        let mut seen = vec![0u32; scene.triangles.len()];
        let mut open = vec![(0u32, 0u32)];
        while let Some((at, depth)) = open.pop() {
            assert!(depth < DEPTH);
            let node = &scene.nodes[at as usize];
            if node.count == 0 {
                open.extend([(node.first, depth + 1), (node.first + 1, depth + 1)]);
                continue;
            }
            assert!(node.count <= LEAF_TRIANGLES);
            for t in node.first..node.first + node.count {
                seen[t as usize] += 1;
                for v in scene.triangles[t as usize].vertices {
                    let p = scene.vertices[v as usize].position;
                    assert_eq!((p.min(node.low), p.max(node.high)), (node.low, node.high));
                }
            }
        }
        assert!(seen.iter().all(|n| *n == 1));
    }
}

#[test]
fn identical_triangles_do_not_make_the_tree_deep() {
    let mut text = String::from("v 0 0 0\nv 1 0 0\nv 0 1 0\n");
    text.push_str(&"f 1 2 3\n".repeat(10_000));
    let scene = scene(&Mesh::from_obj(&text).unwrap());
    assert_eq!(Scene::parse(&scene.to_bytes()).unwrap(), scene, "depth is checked there");
}

#[test]
fn no_ray_of_the_studio_comes_near_the_step_limit() {
    let scene = Scene::studio(&Mesh::procedural());
    let frame = Frame::studio(160, 90, 1);
    let camera = Camera::new(&frame, &scene, 90);
    let mut worst = 0;
    for (x, y) in (0..160).flat_map(|x| (0..90).map(move |y| (x, y))) {
        let ray = camera.ray(x, y, &Random::new(1, y * 160 + x, 0));
        worst = worst.max(trace::steps(&scene, &ray));
        // And from all over the mesh in all directions, as bounces go.
        let mut random = Random::new(2, y * 160 + x, 0);
        let at = scene.vertices[(x * 90 + y) as usize % scene.vertices.len()].position;
        let ray = Ray::new(at, on_sphere(random.pair()).normalised_or(Vec3::splat(1.0)));
        worst = worst.max(trace::steps(&scene, &ray));
    }
    assert!(worst > 20 && worst < STEPS * 3 / 4, "{worst} of {STEPS}");
}

//! Golden vectors: every machine, native or Wasm, computes these bytes on the CPU path.

use kernel_raytrace::{Frame, Mesh, Scene, render};

/// The procedural studio, 48 x 27, 4 samples.
const IMAGE: &str = "495b6734a1be4894acfd96eed9db9d56d430c1bc94f8bbc4220081864e73f14e";
/// Its blob.
const BLOB: &str = "1d4037f4df50c8f9d527b99e6d92d43e25dea84cd66fd7d3f718067bb0a2be96";

#[test]
fn the_procedural_studio_is_golden() {
    let scene = Scene::studio(&Mesh::procedural());
    assert_eq!(blake3::hash(&scene.to_bytes()).to_hex().as_str(), BLOB, "the blob changed");
    let pixels = render(&scene, &Frame::studio(48, 27, 4).all_rows());
    assert_eq!(pixels.len(), 48 * 27 * 3);
    assert_eq!(blake3::hash(&pixels).to_hex().as_str(), IMAGE, "the image changed");
}

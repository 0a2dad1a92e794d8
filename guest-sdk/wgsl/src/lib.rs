//! WGSL that shaders share: fixed-point numbers, 64-bit integers, random numbers, and skeletons of whole shaders. All of it
//! is integers, so a shader built on it stays `exact`.
//!
//! WGSL has no `include`. A shader takes a block with one line, and [`expand`] puts what it uses of it behind the shader's
//! own text. So the signed kernel holds the whole WGSL, peers know nothing of blocks, and every message about the shader
//! names the author's own lines.
//!
//! ```
//! let shader = "// p2c2r: use fixed
//! @group(0) @binding(0) var<storage, read_write> numbers: array<i32>;
//! @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
//!     numbers[id.x] = fixed_mul(numbers[id.x], fixed_sqrt(numbers[id.x]));
//! }
//! ";
//! let whole = p2c2r_wgsl::expand(shader)?;
//! assert!(whole.text().starts_with(shader));
//! assert!(whole.text().contains("fn fixed_sqrt(") && whole.text().contains("fn wide_product("));
//! assert!(!whole.text().contains("fn fixed_sin("), "what nobody calls is left out");
//! # Ok::<(), p2c2r_wgsl::ExpandError>(())
//! ```
//!
//! Parses no WGSL beyond names and braces, and judges none: that is for `p2c2r-shader`.
#![forbid(unsafe_code)]

mod block;
mod expand;
mod text;

pub use block::{BLOCKS, Block};
pub use expand::{ExpandError, Expanded, Mistake, Origin, expand};

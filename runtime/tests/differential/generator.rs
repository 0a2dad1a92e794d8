//! Random shaders of the exact profile: what authors write (maps, planes, stencils, reductions, scans, histograms), with bodies that
//! nobody would write.

use super::expression::{Scope, Ty};
use super::layout::Layout;
use super::random::Random;
use super::statement::{Returns, Writer};

/// How deep expressions nest: deeper ones take drivers long to compile, and find nothing more.
pub(super) const EXPRESSION_DEPTH: u32 = 2;

/// A shader, in parts that may be left out one by one.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    head: String,
    functions: Vec<String>,
    start: String,
    /// Statements of `main`.
    pub(crate) body: Vec<String>,
    pub(crate) layout: Layout,
}

impl Text {
    pub(crate) fn wgsl(&self) -> String {
        format!("{}{}{}{}}}\n", self.head, self.functions.concat(), self.start, self.body.concat())
    }
}

/// Declares what every shader has.
fn head(layout: &Layout) -> String {
    let (Layout { sides: [x, y, z], stride, function, .. }, tile) = (layout, tile_words(layout));
    format!(
        "struct Pair {{ a: u32, b: vec3<i32>, c: array<u32, 3> }}
struct Made {{ a: u32, x: i32, b: vec2<i32>, c: array<u32, 3>, d: u32 }}
@group(0) @binding(0) var<storage, read_write> words: array<u32>;
@group(0) @binding(1) var<storage, read> source: array<u32>;
@group(0) @binding(2) var<storage, read_write> bins: array<atomic<u32>, 16>;
@group(0) @binding(3) var<storage, read_write> signed_bins: array<atomic<i32>, 8>;
@group(0) @binding(4) var<storage, read> pairs: array<Pair>;
@group(0) @binding(5) var<storage, read_write> made: array<Made>;
@group(0) @binding(6) var<storage, read_write> others: array<u32>;
var<workgroup> tile: array<u32, {tile}>;
var<workgroup> rows: array<array<u32, {x}>, {}>;
var<workgroup> tally: atomic<u32>;
var<workgroup> spoken: u32;
var<private> kept: u32 = 3u;
fn put(at: u32, value: u32) {{ words[at * {stride}u + 1u] = value; }}
fn add(at: u32, more: u32) {{ if more != 7u {{ words[at * {stride}u] += more; }} }}
{function}",
        y * z
    )
}

/// Words of `tile`: a border of one around the workgroup.
pub(super) fn tile_words(layout: &Layout) -> u32 {
    let [x, y, z] = layout.sides;
    (x + 2) * (y + 2) * z
}

/// The head of `main`, with what every body may use.
fn start(layout: &Layout, given: [u64; 4], arrays: bool) -> String {
    let (Layout { sides: [x, y, z], start, .. }, [a, b, c, d]) = (layout, given);
    let large = match arrays {
        true => "    var grid: array<array<u32, 3>, 5>;\n    var pair: Pair = pairs[at];\n",
        false => "",
    };
    format!(
        "@compute @workgroup_size({x}, {y}, {z})
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) i: u32,
        @builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>,
        @builtin(num_workgroups) groups: vec3<u32>) {{
{start}    let given = vec4<u32>(source[{a}], source[{b}], source[{c}], source[{d}]);
    var u = source[at];
    var s = bitcast<i32>(source[at + 17u]);
    var v = vec4<u32>(u, id.x, i, 7u);
    var w = vec3<i32>(s, -1, i32(id.y));
{large}"
    )
}

/// What counters of loops grow by: a word of `source` that is 1, which no compiler knows.
const STEP: &str = "source[63u]";

/// A shader. Equal seeds give equal ones.
pub(crate) fn shader(seed: u64) -> Text {
    written(seed, STEP)
}

/// As [`shader`], with what Mesa 22.3's lavapipe computes wrongly: loops that a compiler can count, of which it counts those with
/// several exits wrongly. Of `while n < 4u { n += 1u; if n <= zero { break; } }` it makes one iteration, or more than there are.
pub(crate) fn hard(seed: u64) -> Text {
    written(seed, "1u")
}

fn written(seed: u64, step: &'static str) -> Text {
    let mut random = Random::new(seed);
    let layout = Layout::any(&mut random);
    // What is large takes drivers long to compile.
    let arrays = random.chance(1, 4);
    let mut writer = Writer::new(&mut random, step);
    let mut signatures = Vec::new();
    for _ in 0..*writer.random.pick(&[0, 0, 0, 1, 1, 2]) {
        writer.function(&mut signatures);
    }
    let given: [u64; 4] = std::array::from_fn(|_| writer.random.below(62));
    let start = start(&layout, given, arrays);
    let variables = [("u", Ty::U32), ("s", Ty::I32), ("v", Ty::VecU(4)), ("w", Ty::VecI(3)), ("kept", Ty::U32)];
    let constants = ["at", "i", "id.x", "id.y", "group.x", "groups.y", "local.x"].map(|name| (name, Ty::U32));
    let named = |names: &[(&str, Ty)]| names.iter().map(|(name, ty)| ((*name).to_owned(), *ty)).collect::<Vec<_>>();
    let mut scope = Scope {
        variables: named(&variables),
        values: [named(&variables), named(&constants)].concat(),
        has_arrays: arrays,
        has_buffers: true,
        functions: signatures,
    };
    if arrays {
        scope.variables.push(("pair.a".to_owned(), Ty::U32));
        scope.values.push(("pair.b".to_owned(), Ty::VecI(3)));
    }
    // Where nobody waits, those without a place may leave at once; everybody else has words of its own from there on.
    let mut body = Vec::new();
    let waits = writer.random.chance(1, 2);
    let leaves = layout.outside().filter(|_| !waits);
    if let Some(outside) = &leaves {
        body.push(format!("    if {outside} {{ return; }}\n"));
    }
    if leaves.is_some() || layout.inside().is_none() {
        let own = (format!("words[at * {}u + 3u]", layout.stride), Ty::U32);
        scope.variables.push(own.clone());
        scope.values.push(own);
    }
    body.extend(writer.phase(&mut scope, 2));
    if waits {
        body.extend(writer.together(&mut scope, &layout));
    } else {
        writer.returns = Returns::Plain;
        if writer.random.chance(1, 3) {
            body.push(writer.stencil(&scope));
        }
    }
    body.extend(writer.phase(&mut scope, 1));
    let others = writer.others(&scope, &layout);
    let own = writer.own(&scope, &layout);
    match layout.inside().filter(|_| waits) {
        Some(inside) => body.push(format!("    if {inside} {{\n{}    }}\n", own.concat())),
        None => body.extend(own),
    }
    body.extend(others);
    Text { head: head(&layout), functions: writer.functions, start, body, layout }
}

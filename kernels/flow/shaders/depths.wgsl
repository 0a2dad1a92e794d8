// How deep the water is after this step: `model::depth` of src/model.rs. What leaves a cell comes to its neighbours, so no drop
// is lost and none is made but by rain and springs.

// As Params of src/task.rs.
struct Params { width: u32, height: u32, keep: i32, pull: i32, rain: u32, springs: u32 }

// As Spring of src/task.rs.
struct Spring { cell: u32, flow: i32 }

// DEPTH of src/limits.rs.
const DEPTH: i32 = 0x3fffffff;

@group(0) @binding(0) var<storage, read> params: Params;
@group(0) @binding(1) var<storage, read> springs: array<Spring>;
@group(0) @binding(2) var<storage, read_write> depths: array<u32>;
// West, east, north, south.
@group(0) @binding(3) var<storage, read> flows: array<vec4<u32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let at = id.x;
    if at >= params.width * params.height { return; }
    let x = at % params.width;
    let y = at / params.width;
    let out = flows[at];
    var depth = depths[at] - out.x - out.y - out.z - out.w;
    if x > 0u { depth += flows[at - 1u].y; }
    if x + 1u < params.width { depth += flows[at + 1u].x; }
    if y > 0u { depth += flows[at - params.width].w; }
    if y + 1u < params.height { depth += flows[at + params.width].z; }
    depth = min(depth + params.rain, u32(DEPTH));
    for (var k = 0u; k < params.springs; k++) {
        if springs[k].cell == at { depth = u32(clamp(i32(depth) + springs[k].flow, 0, DEPTH)); }
    }
    depths[at] = depth;
}

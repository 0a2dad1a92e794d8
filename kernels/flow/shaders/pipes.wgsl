// What leaves each cell in this step: `model::outflow` of src/model.rs. Water stands in columns that pipes join to the four
// neighbours; the difference of two levels speeds up what runs between them.
// p2c2r: use fixed, wide

// As Params of src/task.rs.
struct Params { width: u32, height: u32, keep: i32, pull: i32, rain: u32, springs: u32 }

// DEPTH of src/limits.rs.
const DEPTH: u32 = 0x3fffffffu;

@group(0) @binding(0) var<storage, read> params: Params;
@group(0) @binding(1) var<storage, read> ground: array<i32>;
@group(0) @binding(2) var<storage, read> depths: array<u32>;
// What left to the west, east, north and south in the step before; of two neighbours only one gives.
@group(0) @binding(3) var<storage, read> flows: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> flows_after: array<vec4<u32>>;

// What runs from one cell to its neighbour, before it is known whether there is as much; `gave` and `got` are what ran
// between the two before.
fn pipe(here: u32, there: u32, gave: u32, got: u32) -> u32 {
    let fall = ground[here] + i32(depths[here]) - ground[there] - i32(depths[there]);
    let speed = fixed_mul(i32(gave) - i32(got), params.keep) + fixed_mul(fall, params.pull);
    let room = (DEPTH - depths[there]) / 4u;
    return min(u32(max(speed, 0)), min(depths[here], room));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let at = id.x;
    if at >= params.width * params.height { return; }
    let x = at % params.width;
    let y = at / params.width;
    let before = flows[at];
    var flow = vec4<u32>();
    if x > 0u { flow.x = pipe(at, at - 1u, before.x, flows[at - 1u].y); }
    if x + 1u < params.width { flow.y = pipe(at, at + 1u, before.y, flows[at + 1u].x); }
    if y > 0u { flow.z = pipe(at, at - params.width, before.z, flows[at - params.width].w); }
    if y + 1u < params.height { flow.w = pipe(at, at + params.width, before.w, flows[at + params.width].z); }
    // No cell gives more than it has.
    let depth = depths[at];
    let sum = flow.x + flow.y + flow.z + flow.w;
    if sum > depth {
        flow = vec4<u32>(
            wide_mul_div(flow.x, depth, sum),
            wide_mul_div(flow.y, depth, sum),
            wide_mul_div(flow.z, depth, sum),
            wide_mul_div(flow.w, depth, sum),
        );
    }
    flows_after[at] = flow;
}

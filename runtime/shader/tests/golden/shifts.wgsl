@group(0) @binding(0) var<storage, read_write> out: array<u32, 4>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    out[0] = id.x << id.y;
    out[1] = id.x >> 5u;
    out[2] = (id.xy << id.yx).x;
    out[3] = u32(i32(id.x) >> id.y);
}

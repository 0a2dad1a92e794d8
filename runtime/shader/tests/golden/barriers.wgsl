@group(0) @binding(0) var<storage, read_write> out: array<u32>;
var<workgroup> x: array<u32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) i: u32, @builtin(workgroup_id) group: vec3<u32>) {
    x[i] = i;
    workgroupBarrier();
    for (var s = 32u; s > 0u; s >>= 1u) {
        if i < s { x[i] += x[i + s]; }
        workgroupBarrier();
        for (var k = 0u; k < i; k++) { }
    }
    if i == 0u { out[group.x] = x[0]; }
}

// Loads out of range give zero, stores and atomic operations do nothing: in buffers, workgroup and local memory.
@group(0) @binding(0) var<storage, read> inputs: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;

var<workgroup> sums: array<atomic<u32>, 4>;
var<workgroup> row: array<u32, 4>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) i: u32) {
    let at = inputs[i].x;
    if i < 4u {
        row[i] = i + 1u;
    }
    workgroupBarrier();
    var local = array<u32, 4>(5u, 6u, 7u, 8u);
    local[at] = 9u;
    let v = vec3<u32>(1u, 2u, 3u);
    let found = local[0] + 10u * local[3] + 100u * local[at] + 10000u * v[at] + 100000u * row[at] + inputs[at + 64u].y;
    atomicAdd(&sums[at], 1u);
    workgroupBarrier();
    words[i * 2u] = found;
    words[i * 2u + 1u] = atomicLoad(&sums[0]) + 100u * atomicLoad(&sums[3]);
    // The last word of the buffer is what a store that is clamped would hit.
    words[arrayLength(&words) + at] = 77u;
}

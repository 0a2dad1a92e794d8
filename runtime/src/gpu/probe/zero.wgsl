// Memory starts at zero. Run twice: the second run would find what the first has left.
@group(0) @binding(0) var<storage, read> inputs: array<u32>;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;

var<workgroup> block: array<u32, 4096>;
var<private> own: array<u32, 256>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) i: u32, @builtin(workgroup_id) group: vec3<u32>) {
    var local: array<u32, 256>;
    var found = 0u;
    for (var n = 0u; n < 64u; n++) {
        found |= block[n * 64u + i];
    }
    for (var n = 0u; n < 256u; n++) {
        found |= own[n] | local[n];
    }
    workgroupBarrier();
    for (var n = 0u; n < 64u; n++) {
        block[n * 64u + i] = inputs[i] | 1u;
    }
    for (var n = 0u; n < 256u; n++) {
        own[n] = inputs[n % 64u] | 1u;
        local[n] = inputs[(n + i) % 64u] | 1u;
    }
    // So that none of it can be left out.
    words[group.x * 64u + i] = found + (own[inputs[i] % 256u] & local[inputs[i] % 256u] & block[i] & 1u);
}

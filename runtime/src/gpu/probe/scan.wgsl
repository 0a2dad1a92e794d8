// Barriers and workgroup memory: sums of all words up to each, in blocks of 256.
@group(0) @binding(0) var<storage, read> inputs: array<u32>;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;

var<workgroup> block: array<u32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) i: u32, @builtin(workgroup_id) group: vec3<u32>) {
    block[i] = inputs[group.x * 256u + i];
    workgroupBarrier();
    for (var step = 1u; step < 256u; step *= 2u) {
        var before = 0u;
        if i >= step {
            before = block[i - step];
        }
        workgroupBarrier();
        block[i] += before;
        workgroupBarrier();
    }
    words[group.x * 256u + i] = block[i];
}

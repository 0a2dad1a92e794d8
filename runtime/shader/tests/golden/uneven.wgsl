@group(0) @binding(0) var<storage, read_write> out: array<u32, 12>;
@group(0) @binding(1) var<storage, read> step: u32;

@compute @workgroup_size(3, 4)
fn main(@builtin(local_invocation_index) i: u32) {
    var sum = 0u;
    for (var n = 0u; n < 3u; n += step) {
        workgroupBarrier();
        sum += n;
    }
    out[i] = sum;
}

// Loops that end by what is in a buffer, one of them with a barrier, in workgroups that fill no vector: a driver may run invocations
// to fill it, which find nothing there.
@group(0) @binding(0) var<storage, read> inputs: array<u32, 1>;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;

@compute @workgroup_size(3, 4)
fn main(@builtin(local_invocation_index) i: u32) {
    let one = inputs[0];
    var sum = 0u;
    for (var n = 0u; n < 2u; n += inputs[0]) {
        workgroupBarrier();
        sum += 1u;
    }
    loop {
        sum += inputs[0];
        if sum >= 5u { break; }
    }
    for (var n = 0u; n < 9u * one; n++) {
        sum += 10u;
        if sum > 200u { break; }
    }
    words[i] = sum;
}

// Neighbours loop in turns, each within its budget: a driver that counts the iterations of those that run in lockstep together
// may end loops that it should not.
@group(0) @binding(0) var<storage, read> inputs: array<u32, 2>;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) i: u32) {
    var count = 0u;
    for (var turn = 0u; turn < inputs[0]; turn++) {
        if i % inputs[0] == turn {
            for (var n = 0u; n < inputs[1]; n++) {
                count += 1u + (count >> 31u);
            }
        }
    }
    words[i] = count;
}

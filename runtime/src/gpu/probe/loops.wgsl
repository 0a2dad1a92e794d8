// Loops as long as the budget allows, and one iteration longer: an adapter that ends loops by itself before we do must
// not vote. Rewritten like a kernel's shader.
@group(0) @binding(0) var<storage, read> inputs: array<vec2<u32>, 64>;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) i: u32) {
    var iterations = 0u;
    for (var n = 0u; n < inputs[0].x; n++) {
        iterations += 1u + (iterations >> 31u);
    }
    words[i * 2u] = iterations;
    var rounds = 0u;
    for (var n = 0u; n < inputs[0].y; n++) {
        workgroupBarrier();
        rounds += 1u + (rounds >> 31u);
    }
    words[i * 2u + 1u] = rounds;
}

// Loops that a compiler can count, with another way out that is never taken: Mesa's compiler, up to 22.3 at least, takes a count
// from the wrong exit. Our rewriting gives the loop one more.
@group(0) @binding(0) var<storage, read> inputs: array<u32, 1>;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;

@compute @workgroup_size(8)
fn main(@builtin(local_invocation_index) i: u32) {
    let zero = i - i;
    var n = 0u;
    var rounds = 0u;
    while n < 4u {
        n += 1u;
        if n <= zero { break; }
        rounds += inputs[0];
    }
    words[i * 2u] = n;
    words[i * 2u + 1u] = rounds;
}

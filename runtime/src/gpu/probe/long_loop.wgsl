// Not rewritten: how many iterations the driver lets a loop run.
@group(0) @binding(0) var<storage, read> inputs: array<u32>;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;

@compute @workgroup_size(1)
fn main() {
    var count = 0u;
    for (var n = 0u; n < inputs[0]; n++) {
        count += 1u + (count >> 31u);
    }
    words[0] = count;
}

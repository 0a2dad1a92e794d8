// A loop in a loop, in a workgroup that fills no vector. As it is written: lavapipe leaves the outer one after a round.
@group(0) @binding(0) var<storage, read> inputs: array<u32, 1>;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;

@compute @workgroup_size(1)
fn main() {
    var last = 0u;
    var n = 0u;
    while n < 4u {
        n += 1u;
        loop {
            last = n;
            continuing { break if inputs[0] == 1u; }
        }
        words[1] += 1u;
    }
    words[0] = last;
}

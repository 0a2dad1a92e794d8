// Integer results that WGSL defines exactly; the host knows the answers.
@group(0) @binding(0) var<storage, read> inputs: array<vec2<u32>, 64>;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;

var<workgroup> shared_words: array<u32, 64>;
var<workgroup> total: atomic<u32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) i: u32) {
    let a = inputs[i].x;
    let b = inputs[i].y;
    shared_words[i] = a ^ b;
    atomicAdd(&total, a);
    workgroupBarrier();

    let at = i * 16u;
    words[at + 0u] = a + b;
    words[at + 1u] = a - b;
    words[at + 2u] = a * b;
    words[at + 3u] = a / (b | 1u);
    words[at + 4u] = a % (b | 1u);
    words[at + 5u] = a << (b & 31u);
    words[at + 6u] = a >> (b & 31u);
    words[at + 7u] = bitcast<u32>(bitcast<i32>(a) >> (b & 31u));
    words[at + 8u] = bitcast<u32>(bitcast<i32>(a) / bitcast<i32>(b | 1u));
    words[at + 9u] = countOneBits(a) + 100u * firstLeadingBit(b | 1u);
    words[at + 10u] = reverseBits(a);
    words[at + 11u] = extractBits(a, 5u, 11u);
    words[at + 12u] = select(min(a, b), max(a, b), bitcast<i32>(a) < bitcast<i32>(b));
    words[at + 13u] = shared_words[63u - i];
    words[at + 14u] = atomicLoad(&total);
    var state = a | 1u;
    for (var n = 0u; n < (b & 1023u); n++) {
        state ^= state << 13u;
        state ^= state >> 17u;
        state ^= state << 5u;
    }
    words[at + 15u] = state;
}

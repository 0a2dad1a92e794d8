// Where integers have corners: overflow, division by zero, the most negative number, shifts and bit fields past the word.
@group(0) @binding(0) var<storage, read> inputs: array<vec2<u32>, 64>;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let a = inputs[id.x].x;
    let b = inputs[id.x].y;
    let sa = bitcast<i32>(a);
    let sb = bitcast<i32>(b);
    let at = id.x * 20u;
    words[at + 0u] = a / b;
    words[at + 1u] = a % b;
    words[at + 2u] = bitcast<u32>(sa / sb);
    words[at + 3u] = bitcast<u32>(sa % sb);
    words[at + 4u] = a << b;
    words[at + 5u] = a >> b;
    words[at + 6u] = bitcast<u32>(sa >> b);
    words[at + 7u] = countLeadingZeros(a) + 100u * countTrailingZeros(b);
    words[at + 8u] = firstLeadingBit(a);
    words[at + 9u] = bitcast<u32>(firstLeadingBit(sa));
    words[at + 10u] = firstTrailingBit(b);
    words[at + 11u] = extractBits(a, b, 7u);
    words[at + 12u] = bitcast<u32>(extractBits(sa, b, 7u));
    words[at + 13u] = insertBits(a, b, b, 9u);
    words[at + 14u] = bitcast<u32>(abs(sa));
    words[at + 15u] = bitcast<u32>(sign(sa));
    words[at + 16u] = bitcast<u32>(clamp(sa, sb, 5));
    words[at + 17u] = bitcast<u32>(-sa);
    words[at + 18u] = bitcast<u32>(dot(vec3<i32>(sa, sb, 7), vec3<i32>(sb, 3, sa)));
    words[at + 19u] = a * b + (b - a);
}

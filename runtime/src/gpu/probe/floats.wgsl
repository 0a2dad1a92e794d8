// Results that WGSL leaves open: rounding, fusion, approximations, subnormals, conversions, accesses out of
// bounds. Whatever comes out is the adapter's signature.
@group(0) @binding(0) var<storage, read> inputs: array<vec2<u32>>;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;

const WORDS: u32 = 31u;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) i: u32) {
    // In [1, 2) and [0.5, 1), and their full range.
    let a = bitcast<f32>((inputs[i].x >> 9u) | 0x3f800000u);
    let b = bitcast<f32>((inputs[i].y >> 9u) | 0x3f000000u);
    let wide = (a - 1.5) * exp2(b * 60.0 - 45.0);
    let tiny = bitcast<f32>(inputs[i].x & 0x007fffffu);
    let u = normalize(vec3<f32>(a, -b, wide + 0.25));
    let v = vec3<f32>(b, a * b, 1.0 - a);

    let at = i * WORDS;
    words[at + 0u] = bitcast<u32>(a + b);
    words[at + 1u] = bitcast<u32>(a * b);
    words[at + 2u] = bitcast<u32>(a * b + wide);
    words[at + 3u] = bitcast<u32>(fma(a, b, -a * b));
    words[at + 4u] = bitcast<u32>(a / b);
    words[at + 5u] = bitcast<u32>(1.0 / wide);
    words[at + 6u] = bitcast<u32>(sqrt(a * 3.0));
    words[at + 7u] = bitcast<u32>(inverseSqrt(b));
    words[at + 8u] = bitcast<u32>(exp(b * 7.0));
    words[at + 9u] = bitcast<u32>(log(b));
    words[at + 10u] = bitcast<u32>(pow(a, b * 5.0));
    words[at + 11u] = bitcast<u32>(sin(a * 9.0));
    words[at + 12u] = bitcast<u32>(cos(a * 9.0));
    words[at + 13u] = bitcast<u32>(tan(b));
    words[at + 14u] = bitcast<u32>(atan2(b, wide));
    words[at + 15u] = bitcast<u32>(acos(b));
    words[at + 16u] = bitcast<u32>(dot(u, v));
    words[at + 17u] = bitcast<u32>(length(v));
    words[at + 18u] = bitcast<u32>(cross(u, v).y);
    words[at + 19u] = bitcast<u32>(mix(a, b, 0.3));
    words[at + 20u] = bitcast<u32>(smoothstep(0.5, 1.0, b));
    words[at + 21u] = bitcast<u32>(reflect(u, v).x);
    words[at + 22u] = bitcast<u32>(tiny + tiny);
    words[at + 23u] = bitcast<u32>(tiny * 0.5);
    words[at + 24u] = bitcast<u32>(f32(inputs[i].x));
    words[at + 25u] = bitcast<u32>(i32(wide * 1e6));
    words[at + 26u] = bitcast<u32>(round(a * 2.0) + floor(wide) + fract(wide));
    words[at + 27u] = bitcast<u32>((a + b) - a - b);
    words[at + 28u] = pack2x16snorm(vec2<f32>(a - 1.5, b));
    words[at + 29u] = pack4x8unorm(vec4<f32>(u, b));
    words[at + 30u] = inputs[arrayLength(&inputs) + i].x;
}

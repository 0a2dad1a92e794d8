// Atomic operations of many workgroups on the same words.
@group(0) @binding(0) var<storage, read> inputs: array<u32>;
@group(0) @binding(1) var<storage, read_write> words: array<atomic<u32>, 8>;
@group(0) @binding(2) var<storage, read_write> signed: array<atomic<i32>, 2>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let a = inputs[id.x];
    atomicAdd(&words[0], a);
    atomicSub(&words[1], a);
    atomicMin(&words[2], a);
    atomicMax(&words[3], a);
    atomicAnd(&words[4], a | 0x10u);
    atomicOr(&words[5], a & 0x00ff00ffu);
    atomicXor(&words[6], a);
    atomicAdd(&words[7], 1u);
    atomicMin(&signed[0], bitcast<i32>(a));
    atomicMax(&signed[1], bitcast<i32>(a));
}

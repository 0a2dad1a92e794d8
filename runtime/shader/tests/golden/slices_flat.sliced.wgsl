struct P2c2rSlice {
    offset: vec3<u32>,
    total: vec3<u32>,
}

@group(0) @binding(0) 
var<storage, read_write> words: array<u32>;
@group(0) @binding(16) 
var<uniform> p2c2r_slice: P2c2rSlice;

@compute @workgroup_size(16, 1, 1) 
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>, @builtin(local_invocation_index) i: u32, @builtin(num_workgroups) groups: vec3<u32>) {
    let _e15 = p2c2r_slice.offset;
    let _e20 = (id.x % 16u);
    let id_1 = (((vec3<u32>((id.x / 16u), id.y, id.z) + _e15) * vec3<u32>(2u, 4u, 2u)) + vec3<u32>((_e20 % 2u), ((_e20 / 2u) % 4u), (_e20 / 8u)));
    let _e28 = (local.x % 16u);
    let local_1 = vec3<u32>((_e28 % 2u), ((_e28 / 2u) % 4u), (_e28 / 8u));
    let groups_1 = p2c2r_slice.total;
    let _e41 = ((id_1.x * 16u) + i);
    let _e43 = arrayLength((&words));
    if (_e41 < _e43) {
        words[min(_e41, (_e43 - 1u))] = ((((id_1.y + id_1.z) + local_1.x) + (local_1.y * groups_1.y)) + local_1.z);
    }
    return;
}

@group(0) @binding(0) var<storage, read_write> words: array<u32>;

@compute @workgroup_size(2, 4, 2)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>,
        @builtin(local_invocation_index) i: u32, @builtin(num_workgroups) groups: vec3<u32>) {
    words[id.x * 16u + i] = id.y + id.z + local.x + local.y * groups.y + local.z;
}

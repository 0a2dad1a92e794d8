@group(0) @binding(0) var<storage, read_write> words: array<u32>;

fn at(id: vec3<u32>, groups: vec3<u32>) -> u32 {
    return id.x + groups.x * (id.y + groups.y * id.z);
}

@compute @workgroup_size(4, 2)
fn main(
    @builtin(local_invocation_index) i: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let place = at(group, groups) * 8u + i;
    if group.x > 3u {
        workgroupBarrier();
    }
    for (var n = 0u; n < id.x; n++) {
        words[place] += id.y;
    }
}

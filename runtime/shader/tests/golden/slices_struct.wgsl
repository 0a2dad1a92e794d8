@group(0) @binding(0) var<storage, read_write> words: array<u32>;

struct Place {
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
}

@compute @workgroup_size(64)
fn main(place: Place, @builtin(num_workgroups) unused: vec3<u32>) {
    words[place.group.x * 64u + place.local.x] = place.group.y;
}

struct Place {
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
}

struct P2c2rSlice {
    offset: vec3<u32>,
    total: vec3<u32>,
}

@group(0) @binding(0) 
var<storage, read_write> words: array<u32>;
@group(0) @binding(16) 
var<uniform> p2c2r_slice: P2c2rSlice;

@compute @workgroup_size(64, 1, 1) 
fn main(place: Place, @builtin(num_workgroups) unused: vec3<u32>) {
    let _e8 = p2c2r_slice.offset;
    let place_1 = Place(place.local, (place.group + _e8));
    let _e18 = ((place_1.group.x * 64u) + place_1.local.x);
    let _e20 = arrayLength((&words));
    if (_e18 < _e20) {
        words[min(_e18, (_e20 - 1u))] = place_1.group.y;
    }
    return;
}

struct P2c2rSlice {
    offset: vec3<u32>,
    total: vec3<u32>,
}

@group(0) @binding(0) 
var<storage, read_write> words: array<u32>;
@group(0) @binding(15) 
var<storage, read_write> p2c2r_trap: atomic<u32>;
var<private> p2c2r_fuel: u32 = 57344u;
var<private> p2c2r_rounds: u32 = 8189u;
@group(0) @binding(16) 
var<uniform> p2c2r_slice: P2c2rSlice;

fn at(id_1: vec3<u32>, groups_1: vec3<u32>) -> u32 {
    return (id_1.x + (groups_1.x * (id_1.y + (groups_1.y * id_1.z))));
}

@compute @workgroup_size(4, 2, 1) 
fn main(@builtin(local_invocation_index) i: u32, @builtin(workgroup_id) group: vec3<u32>, @builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    var n: u32 = 0u;

    let _e8 = p2c2r_slice.offset;
    let group_1 = (group + _e8);
    let _e11 = p2c2r_slice.offset;
    let id_2 = (id + (_e11 * vec3<u32>(4u, 2u, 1u)));
    let groups_2 = p2c2r_slice.total;
    loop {
        let _e24 = atomicLoad((&p2c2r_trap));
        if (_e24 != 1u) {
            p2c2r_fuel = 0u;
        }
        if (_e24 == 0u) {
            p2c2r_rounds = 0u;
        }
        if (_e24 <= 2u) {
            break;
        }
    }
    let _e30 = at(group_1, groups_2);
    let place = ((_e30 * 8u) + i);
    if (group_1.x > 3u) {
        workgroupBarrier();
    }
    let _e39 = n;
    let _e46 = select(0u, (id_2.x - _e39), (_e39 < id_2.x));
    let _e52 = p2c2r_fuel;
    if (_e46 < _e52) {
        p2c2r_fuel = ((_e52 - _e46) - 1u);
        loop {
            let _e57 = n;
            if (_e57 < id_2.x) {
            } else {
                break;
            }
            {
                let _e61 = arrayLength((&words));
                let _e64 = (place < _e61);
                let _e67 = words[min(place, (_e61 - 1u))];
                if _e64 {
                    words[min(place, (_e61 - 1u))] = (select(0u, _e67, _e64) + id_2.y);
                }
            }
            continuing {
                let _e72 = n;
                n = (_e72 + 1u);
            }
        }
    } else {
        atomicStore((&p2c2r_trap), 2u);
        p2c2r_fuel = 0u;
    }
    return;
}

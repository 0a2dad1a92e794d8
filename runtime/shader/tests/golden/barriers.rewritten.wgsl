@group(0) @binding(0) 
var<storage, read_write> out: array<u32>;
var<workgroup> x: array<u32, 64>;
@group(0) @binding(15) 
var<storage, read_write> p2c2r_trap: atomic<u32>;
var<private> p2c2r_fuel: u32 = 57344u;
var<private> p2c2r_rounds: u32 = 8190u;

@compute @workgroup_size(64, 1, 1) 
fn main(@builtin(local_invocation_index) i: u32, @builtin(workgroup_id) group: vec3<u32>) {
    var s: u32 = 32u;
    var k: u32;

    let _e4 = atomicLoad((&p2c2r_trap));
    if (_e4 != 0u) {
        p2c2r_fuel = 0u;
    }
    if (i < 64u) {
        x[min(i, 63u)] = i;
    }
    workgroupBarrier();
    loop {
        let _e17 = p2c2r_rounds;
        if (_e17 == 0u) {
            atomicStore((&p2c2r_trap), 1u);
            break;
        }
        p2c2r_rounds = (_e17 - 1u);
        let _e21 = s;
        if (_e21 > 0u) {
        } else {
            break;
        }
        {
            let _e24 = s;
            if (i < _e24) {
                let _e29 = (i < 64u);
                let _e32 = x[min(i, 63u)];
                let _e35 = s;
                let _e36 = (i + _e35);
                let _e43 = x[min(_e36, 63u)];
                if _e29 {
                    x[min(i, 63u)] = (select(0u, _e32, _e29) + select(0u, _e43, (_e36 < 64u)));
                }
            }
            workgroupBarrier();
            k = 0u;
            let _e50 = k;
            let _e55 = select(0u, (i - _e50), (_e50 < i));
            let _e60 = p2c2r_fuel;
            if (_e55 < _e60) {
                p2c2r_fuel = ((_e60 - _e55) - 1u);
                loop {
                    let _e64 = k;
                    if (_e64 < i) {
                    } else {
                        break;
                    }
                    {
                    }
                    continuing {
                        let _e66 = k;
                        k = (_e66 + 1u);
                    }
                }
            } else {
                atomicStore((&p2c2r_trap), 1u);
                p2c2r_fuel = 0u;
            }
        }
        continuing {
            let _e69 = s;
            s = (_e69 >> 1u);
        }
    }
    if (i == 0u) {
        let _e77 = arrayLength((&out));
        let _e85 = x[0];
        if (group.x < _e77) {
            out[min(group.x, (_e77 - 1u))] = _e85;
        }
        return;
    } else {
        return;
    }
}

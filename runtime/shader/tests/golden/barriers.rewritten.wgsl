@group(0) @binding(0) 
var<storage, read_write> out: array<u32>;
var<workgroup> x: array<u32, 64>;
@group(0) @binding(15) 
var<storage, read_write> p2c2r_trap: atomic<u32>;
var<private> p2c2r_fuel: u32 = 57344u;
var<private> p2c2r_rounds: u32 = 8189u;

@compute @workgroup_size(64, 1, 1) 
fn main(@builtin(local_invocation_index) i: u32, @builtin(workgroup_id) group: vec3<u32>) {
    var s: u32 = 32u;
    var k: u32;

    loop {
        let _e7 = atomicLoad((&p2c2r_trap));
        if (_e7 != 1u) {
            p2c2r_fuel = 0u;
        }
        if (_e7 == 0u) {
            p2c2r_rounds = 0u;
        }
        if (_e7 <= 2u) {
            break;
        }
    }
    if (i < 64u) {
        x[min(i, 63u)] = i;
    }
    workgroupBarrier();
    loop {
        let _e23 = p2c2r_rounds;
        if (_e23 == 0u) {
            atomicStore((&p2c2r_trap), 2u);
            break;
        }
        p2c2r_rounds = (_e23 - 1u);
        let _e27 = s;
        if (_e27 > 0u) {
        } else {
            break;
        }
        {
            let _e30 = s;
            if (i < _e30) {
                let _e35 = (i < 64u);
                let _e38 = x[min(i, 63u)];
                let _e41 = s;
                let _e42 = (i + _e41);
                let _e49 = x[min(_e42, 63u)];
                if _e35 {
                    x[min(i, 63u)] = (select(0u, _e38, _e35) + select(0u, _e49, (_e42 < 64u)));
                }
            }
            workgroupBarrier();
            k = 0u;
            let _e56 = k;
            let _e61 = select(0u, (i - _e56), (_e56 < i));
            let _e67 = p2c2r_fuel;
            if (_e61 < _e67) {
                p2c2r_fuel = ((_e67 - _e61) - 1u);
                loop {
                    let _e71 = k;
                    if (_e71 < i) {
                    } else {
                        break;
                    }
                    {
                    }
                    continuing {
                        let _e73 = k;
                        k = (_e73 + 1u);
                    }
                }
            } else {
                atomicStore((&p2c2r_trap), 2u);
                p2c2r_fuel = 0u;
            }
        }
        continuing {
            let _e76 = s;
            s = (_e76 >> 1u);
        }
    }
    if (i == 0u) {
        let _e84 = arrayLength((&out));
        let _e92 = x[0];
        if (group.x < _e84) {
            out[min(group.x, (_e84 - 1u))] = _e92;
        }
        return;
    } else {
        return;
    }
}

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

    let _e7 = atomicLoad((&p2c2r_trap));
    if (_e7 != 1u) {
        p2c2r_fuel = 0u;
    }
    if (i < 64u) {
        x[min(i, 63u)] = i;
    }
    workgroupBarrier();
    loop {
        let _e21 = p2c2r_rounds;
        if (_e21 == 0u) {
            atomicStore((&p2c2r_trap), 2u);
            break;
        }
        p2c2r_rounds = (_e21 - 1u);
        let _e25 = s;
        if (_e25 > 0u) {
        } else {
            break;
        }
        {
            let _e28 = s;
            if (i < _e28) {
                let _e33 = (i < 64u);
                let _e36 = x[min(i, 63u)];
                let _e39 = s;
                let _e40 = (i + _e39);
                let _e47 = x[min(_e40, 63u)];
                if _e33 {
                    x[min(i, 63u)] = (select(0u, _e36, _e33) + select(0u, _e47, (_e40 < 64u)));
                }
            }
            workgroupBarrier();
            k = 0u;
            let _e54 = k;
            let _e59 = select(0u, (i - _e54), (_e54 < i));
            let _e65 = p2c2r_fuel;
            if (_e59 < _e65) {
                p2c2r_fuel = ((_e65 - _e59) - 1u);
                loop {
                    let _e69 = k;
                    if (_e69 < i) {
                    } else {
                        break;
                    }
                    {
                    }
                    continuing {
                        let _e71 = k;
                        k = (_e71 + 1u);
                    }
                }
            } else {
                atomicStore((&p2c2r_trap), 2u);
                p2c2r_fuel = 0u;
            }
        }
        continuing {
            let _e74 = s;
            s = (_e74 >> 1u);
        }
    }
    if (i == 0u) {
        let _e82 = arrayLength((&out));
        let _e90 = x[0];
        if (group.x < _e82) {
            out[min(group.x, (_e82 - 1u))] = _e90;
        }
        return;
    } else {
        return;
    }
}

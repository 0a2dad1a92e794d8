@group(0) @binding(0) 
var<storage, read_write> out: array<u32>;
@group(0) @binding(15) 
var<storage, read_write> p2c2r_trap: atomic<u32>;
var<private> p2c2r_fuel: u32 = 57344u;
var<private> p2c2r_rounds: u32 = 8190u;

fn first_above(limit: u32) -> u32 {
    var n: u32 = 1u;

    loop {
        let _e5 = p2c2r_fuel;
        if (_e5 == 0u) {
            atomicStore((&p2c2r_trap), 1u);
            break;
        }
        p2c2r_fuel = (_e5 - 1u);
        let _e9 = n;
        if (_e9 > limit) {
            let _e12 = n;
            return _e12;
        }
        let _e13 = n;
        n = (_e13 * 2u);
    }
    return 0u;
}

@compute @workgroup_size(64, 1, 1) 
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    var sum: u32 = 0u;
    var i: u32 = 0u;

    let _e5 = atomicLoad((&p2c2r_trap));
    if (_e5 != 0u) {
        p2c2r_fuel = 0u;
    }
    let _e8 = i;
    let _e15 = select(0u, (id.x - _e8), (_e8 < id.x));
    let _e20 = p2c2r_fuel;
    if (_e15 < _e20) {
        p2c2r_fuel = ((_e20 - _e15) - 1u);
        loop {
            let _e25 = i;
            if (_e25 < id.x) {
            } else {
                break;
            }
            {
                loop {
                    let _e32 = p2c2r_fuel;
                    if (_e32 == 0u) {
                        atomicStore((&p2c2r_trap), 1u);
                        break;
                    }
                    p2c2r_fuel = (_e32 - 1u);
                    let _e36 = sum;
                    if (_e36 < 10u) {
                    } else {
                        break;
                    }
                    {
                        let _e39 = sum;
                        let _e40 = i;
                        let _e41 = first_above(_e40);
                        sum = (_e39 + _e41);
                    }
                }
                let _e43 = sum;
                if (_e43 == 13u) {
                    continue;
                }
                let _e46 = i;
                switch _e46 {
                    case 7u: {
                        break;
                    }
                    default: {
                        sum = 0u;
                    }
                }
            }
            continuing {
                let _e48 = i;
                i = (_e48 + 1u);
            }
        }
    } else {
        atomicStore((&p2c2r_trap), 1u);
        p2c2r_fuel = 0u;
    }
    loop {
        let _e55 = p2c2r_fuel;
        if (_e55 == 0u) {
            atomicStore((&p2c2r_trap), 1u);
            break;
        }
        p2c2r_fuel = (_e55 - 1u);
        let _e58 = sum;
        sum = (_e58 + 1u);
        continuing {
            let _e61 = sum;
            sum = (_e61 * 3u);
            let _e64 = sum;
            break if (_e64 > 100u);
        }
    }
    let _e69 = sum;
    out[0] = _e69;
    return;
}

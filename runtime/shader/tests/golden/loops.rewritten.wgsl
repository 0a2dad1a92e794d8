@group(0) @binding(0) 
var<storage, read_write> out: array<u32>;
@group(0) @binding(15) 
var<storage, read_write> p2c2r_trap: atomic<u32>;
var<private> p2c2r_fuel: u32 = 57344u;
var<private> p2c2r_rounds: u32 = 8189u;

fn first_above(limit: u32) -> u32 {
    var n: u32 = 1u;

    loop {
        let _e6 = p2c2r_fuel;
        if (_e6 == 0u) {
            atomicStore((&p2c2r_trap), 2u);
            break;
        }
        p2c2r_fuel = (_e6 - 1u);
        let _e10 = n;
        if (_e10 > limit) {
            let _e13 = n;
            return _e13;
        }
        let _e14 = n;
        n = (_e14 * 2u);
    }
    return 0u;
}

@compute @workgroup_size(64, 1, 1) 
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    var sum: u32 = 0u;
    var i: u32 = 0u;

    let _e8 = atomicLoad((&p2c2r_trap));
    if (_e8 != 1u) {
        p2c2r_fuel = 0u;
    }
    let _e11 = i;
    let _e18 = select(0u, (id.x - _e11), (_e11 < id.x));
    let _e24 = p2c2r_fuel;
    if (_e18 < _e24) {
        p2c2r_fuel = ((_e24 - _e18) - 1u);
        loop {
            let _e29 = i;
            if (_e29 < id.x) {
            } else {
                break;
            }
            {
                loop {
                    let _e37 = p2c2r_fuel;
                    if (_e37 == 0u) {
                        atomicStore((&p2c2r_trap), 2u);
                        break;
                    }
                    p2c2r_fuel = (_e37 - 1u);
                    let _e41 = sum;
                    if (_e41 < 10u) {
                    } else {
                        break;
                    }
                    {
                        let _e44 = sum;
                        let _e45 = i;
                        let _e46 = first_above(_e45);
                        sum = (_e44 + _e46);
                    }
                }
                let _e48 = sum;
                if (_e48 == 13u) {
                    continue;
                }
                let _e51 = i;
                switch _e51 {
                    case 7u: {
                        break;
                    }
                    default: {
                        sum = 0u;
                    }
                }
            }
            continuing {
                let _e53 = i;
                i = (_e53 + 1u);
            }
        }
    } else {
        atomicStore((&p2c2r_trap), 2u);
        p2c2r_fuel = 0u;
    }
    loop {
        let _e61 = p2c2r_fuel;
        if (_e61 == 0u) {
            atomicStore((&p2c2r_trap), 2u);
            break;
        }
        p2c2r_fuel = (_e61 - 1u);
        let _e64 = sum;
        sum = (_e64 + 1u);
        continuing {
            let _e67 = sum;
            sum = (_e67 * 3u);
            let _e70 = sum;
            break if (_e70 > 100u);
        }
    }
    let _e75 = sum;
    out[0] = _e75;
    return;
}

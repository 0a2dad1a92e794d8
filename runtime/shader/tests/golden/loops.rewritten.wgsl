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
    loop {
        let _e11 = p2c2r_fuel;
        if (_e11 == 0u) {
            atomicStore((&p2c2r_trap), 1u);
            break;
        }
        p2c2r_fuel = (_e11 - 1u);
        let _e15 = i;
        if (_e15 < id.x) {
        } else {
            break;
        }
        {
            loop {
                let _e23 = p2c2r_fuel;
                if (_e23 == 0u) {
                    atomicStore((&p2c2r_trap), 1u);
                    break;
                }
                p2c2r_fuel = (_e23 - 1u);
                let _e27 = sum;
                if (_e27 < 10u) {
                } else {
                    break;
                }
                {
                    let _e30 = sum;
                    let _e31 = i;
                    let _e32 = first_above(_e31);
                    sum = (_e30 + _e32);
                }
            }
            let _e34 = sum;
            if (_e34 == 13u) {
                continue;
            }
            let _e37 = i;
            switch _e37 {
                case 7u: {
                    break;
                }
                default: {
                    sum = 0u;
                }
            }
        }
        continuing {
            let _e39 = i;
            i = (_e39 + 1u);
        }
    }
    loop {
        let _e46 = p2c2r_fuel;
        if (_e46 == 0u) {
            atomicStore((&p2c2r_trap), 1u);
            break;
        }
        p2c2r_fuel = (_e46 - 1u);
        let _e49 = sum;
        sum = (_e49 + 1u);
        continuing {
            let _e52 = sum;
            sum = (_e52 * 3u);
            let _e55 = sum;
            break if (_e55 > 100u);
        }
    }
    let _e60 = sum;
    out[0] = _e60;
    return;
}

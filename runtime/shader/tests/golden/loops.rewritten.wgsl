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

    loop {
        let _e8 = atomicLoad((&p2c2r_trap));
        if (_e8 != 1u) {
            p2c2r_fuel = 0u;
        }
        if (_e8 == 0u) {
            p2c2r_rounds = 0u;
        }
        if (_e8 <= 2u) {
            break;
        }
    }
    let _e13 = i;
    let _e20 = select(0u, (id.x - _e13), (_e13 < id.x));
    let _e26 = p2c2r_fuel;
    if (_e20 < _e26) {
        p2c2r_fuel = ((_e26 - _e20) - 1u);
        loop {
            let _e31 = i;
            if (_e31 < id.x) {
            } else {
                break;
            }
            {
                loop {
                    let _e39 = p2c2r_fuel;
                    if (_e39 == 0u) {
                        atomicStore((&p2c2r_trap), 2u);
                        break;
                    }
                    p2c2r_fuel = (_e39 - 1u);
                    let _e43 = sum;
                    if (_e43 < 10u) {
                    } else {
                        break;
                    }
                    {
                        let _e46 = sum;
                        let _e47 = i;
                        let _e48 = first_above(_e47);
                        sum = (_e46 + _e48);
                    }
                }
                let _e50 = sum;
                if (_e50 == 13u) {
                    continue;
                }
                let _e53 = i;
                switch _e53 {
                    case 7u: {
                        break;
                    }
                    default: {
                        sum = 0u;
                    }
                }
            }
            continuing {
                let _e55 = i;
                i = (_e55 + 1u);
            }
        }
    } else {
        atomicStore((&p2c2r_trap), 2u);
        p2c2r_fuel = 0u;
    }
    loop {
        let _e63 = p2c2r_fuel;
        if (_e63 == 0u) {
            atomicStore((&p2c2r_trap), 2u);
            break;
        }
        p2c2r_fuel = (_e63 - 1u);
        let _e66 = sum;
        sum = (_e66 + 1u);
        continuing {
            let _e69 = sum;
            sum = (_e69 * 3u);
            let _e72 = sum;
            break if (_e72 > 100u);
        }
    }
    let _e77 = sum;
    out[0] = _e77;
    return;
}

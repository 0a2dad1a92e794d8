@group(0) @binding(0) 
var<storage, read_write> out: array<u32, 12>;
@group(0) @binding(1) 
var<storage> step_: u32;
@group(0) @binding(15) 
var<storage, read_write> p2c2r_trap: atomic<u32>;
var<private> p2c2r_fuel: u32 = 57344u;
var<private> p2c2r_rounds: u32 = 8189u;

@compute @workgroup_size(3, 4, 1) 
fn main(@builtin(local_invocation_index) i: u32) {
    var sum: u32 = 0u;
    var n: u32 = 0u;

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
    loop {
        let _e17 = p2c2r_rounds;
        if (_e17 == 0u) {
            atomicStore((&p2c2r_trap), 2u);
            break;
        }
        p2c2r_rounds = (_e17 - 1u);
        let _e21 = n;
        if (_e21 < 3u) {
        } else {
            break;
        }
        {
            workgroupBarrier();
            let _e25 = sum;
            let _e26 = n;
            sum = (_e25 + _e26);
        }
        continuing {
            let _e28 = n;
            let _e30 = step_;
            n = (_e28 + _e30);
        }
    }
    let _e39 = sum;
    if (i < 12u) {
        out[min(i, 11u)] = _e39;
    }
    return;
}

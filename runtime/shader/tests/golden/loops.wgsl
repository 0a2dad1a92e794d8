@group(0) @binding(0) var<storage, read_write> out: array<u32>;

fn first_above(limit: u32) -> u32 {
    var n = 1u;
    loop {
        if n > limit { return n; }
        n *= 2u;
    }
    return 0u;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    var sum = 0u;
    for (var i = 0u; i < id.x; i++) {
        while sum < 10u {
            sum += first_above(i);
        }
        if sum == 13u { continue; }
        switch i {
            case 7u: { break; }
            default: { sum = 0u; }
        }
    }
    loop {
        sum += 1u;
        continuing {
            sum *= 3u;
            break if sum > 100u;
        }
    }
    out[0] = sum;
}

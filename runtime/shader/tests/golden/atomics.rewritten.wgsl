@group(0) @binding(0) 
var<storage, read_write> bins: array<atomic<u32>>;

@compute @workgroup_size(64, 1, 1) 
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    var local: u32;
    var local_1: _atomic_compare_exchange_result_Uint_4_;

    let _e2 = arrayLength((&bins));
    if (3u < _e2) {
        atomicAdd((&bins[min(3u, (_e2 - 1u))]), 1u);
    }
    let _e12 = arrayLength((&bins));
    if (id.x < _e12) {
        atomicAdd((&bins[min(id.x, (_e12 - 1u))]), 1u);
    }
    let _e21 = arrayLength((&bins));
    local = u32();
    if (id.y < _e21) {
        let _e28 = atomicMax((&bins[min(id.y, (_e21 - 1u))]), 7u);
        local = _e28;
    }
    let before = local;
    let _e34 = arrayLength((&bins));
    local_1 = _atomic_compare_exchange_result_Uint_4_();
    if (id.z < _e34) {
        let _e41 = atomicCompareExchangeWeak((&bins[min(id.z, (_e34 - 1u))]), before, 9u);
        local_1 = _e41;
    }
    let swapped = local_1;
    if swapped.exchanged {
        let _e48 = arrayLength((&bins));
        let _e56 = arrayLength((&bins));
        let _e62 = atomicLoad((&bins[min(swapped.old_value, (_e56 - 1u))]));
        if (id.x < _e48) {
            atomicStore((&bins[min(id.x, (_e48 - 1u))]), select(0u, _e62, (swapped.old_value < _e56)));
        }
        return;
    } else {
        return;
    }
}

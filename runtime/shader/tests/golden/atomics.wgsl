@group(0) @binding(0) var<storage, read_write> bins: array<atomic<u32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    atomicAdd(&bins[3], 1u);
    atomicAdd(&bins[id.x], 1u);
    let before = atomicMax(&bins[id.y], 7u);
    let swapped = atomicCompareExchangeWeak(&bins[id.z], before, 9u);
    if swapped.exchanged { atomicStore(&bins[id.x], atomicLoad(&bins[swapped.old_value])); }
}

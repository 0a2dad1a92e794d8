// A skeleton: all items become one.
//
// The shader declares `Item`, a type; `fn reduce_pair(a: Item, b: Item) -> Item`, associative and commutative; and
// `fn reduce_none() -> Item`, which changes nothing it is paired with. Each workgroup makes one item out of 256; dispatched,
// again and again, by p2c2r_guest::skeleton::reduce.
// p2c2r: needs Item
// p2c2r: needs reduce_pair
// p2c2r: needs reduce_none

@group(0) @binding(0) var<storage, read> reduce_from: array<Item>;

@group(0) @binding(1) var<storage, read_write> reduce_to: array<Item>;

var<workgroup> reduce_shared: array<Item, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
) {
    var item = reduce_none();
    if id.x < arrayLength(&reduce_from) { item = reduce_from[id.x]; }
    reduce_shared[lane] = item;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half >>= 1u) {
        if lane < half { reduce_shared[lane] = reduce_pair(reduce_shared[lane], reduce_shared[lane + half]); }
        workgroupBarrier();
    }
    if lane == 0u { reduce_to[group.x] = reduce_shared[0]; }
}

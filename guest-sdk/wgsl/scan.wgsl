// A skeleton: every item becomes the sum of itself and all before it, for whatever is called a sum.
//
// The shader declares `Item`, a type; `fn scan_pair(before: Item, item: Item) -> Item`, associative; and
// `fn scan_none() -> Item`, which changes nothing it is paired with. Each workgroup scans 256 items; dispatched, with the
// totals of the groups before, by p2c2r_guest::skeleton::scan.
// p2c2r: needs Item
// p2c2r: needs scan_pair
// p2c2r: needs scan_none

@group(0) @binding(0) var<storage, read> scan_from: array<Item>;

@group(0) @binding(1) var<storage, read_write> scan_to: array<Item>;

// Of each group.
@group(0) @binding(2) var<storage, read_write> scan_totals: array<Item>;

// Sums of scan_totals, if scan_pass is 1.
@group(0) @binding(3) var<storage, read> scan_before: array<Item>;

@group(0) @binding(4) var<storage, read> scan_pass: u32;

var<workgroup> scan_shared: array<Item, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(workgroup_id) group: vec3<u32>,
) {
    var item = scan_none();
    if id.x < arrayLength(&scan_from) { item = scan_from[id.x]; }
    if scan_pass == 1u && lane == 0u && group.x > 0u { item = scan_pair(scan_before[group.x - 1u], item); }
    scan_shared[lane] = item;
    workgroupBarrier();
    // Hillis and Steele, "Data Parallel Algorithms" (1986).
    for (var step = 1u; step < 256u; step <<= 1u) {
        var before = scan_none();
        if lane >= step { before = scan_shared[lane - step]; }
        workgroupBarrier();
        scan_shared[lane] = scan_pair(before, scan_shared[lane]);
        workgroupBarrier();
    }
    if id.x < arrayLength(&scan_to) { scan_to[id.x] = scan_shared[lane]; }
    if lane == 255u { scan_totals[group.x] = scan_shared[255]; }
}

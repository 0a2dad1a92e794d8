// A skeleton: every item is replaced by what it becomes by itself.
//
// The shader declares `Item`, a type, and `fn map_item(at: u32, item: Item) -> Item`, which is given the item's number. It
// may read buffers of its own from binding 1 on. Dispatched by p2c2r_guest::skeleton::map.
// p2c2r: needs Item
// p2c2r: needs map_item

@group(0) @binding(0) var<storage, read_write> map_items: array<Item>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < arrayLength(&map_items) { map_items[id.x] = map_item(id.x, map_items[id.x]); }
}

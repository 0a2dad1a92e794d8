// A skeleton: every item of a plane is replaced by what it becomes by itself.
//
// The shader declares `Item`, a type, and `fn map2d_item(at: vec2<u32>, item: Item) -> Item`, which is given the item's
// column and row. It may read buffers of its own from binding 2 on. Dispatched by p2c2r_guest::skeleton::map2d.
// p2c2r: needs Item
// p2c2r: needs map2d_item

// Columns and rows.
@group(0) @binding(0) var<storage, read> map2d_size: vec2<u32>;

// Row by row.
@group(0) @binding(1) var<storage, read_write> map2d_items: array<Item>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    // PLANE_SIDE of p2c2r_guest::limits: no plane is wider, and with it the race check sees that no place wraps.
    let width = min(map2d_size.x, 8192u);
    if id.x < width && id.y < map2d_size.y {
        let place = id.y * width + id.x;
        map2d_items[place] = map2d_item(id.xy, map2d_items[place]);
    }
}

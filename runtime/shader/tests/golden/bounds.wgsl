struct Item { key: u32, words: array<vec4<u32>, 4> }
struct List { count: u32, items: array<Item> }
@group(0) @binding(0) var<storage, read> list: List;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let item = list.items[id.x];
    let deep = list.items[id.x].words[id.y][id.z];
    let signed = list.items[3].words[i32(id.x) - 2];
    var stack: array<u32, 32>;
    stack[id.x & 31u] = deep;
    stack[id.x & 63u] = item.key;
    stack[7] = signed.x;
    let p = &out[id.x];
    *p += stack[id.y];
    var v = vec3<u32>(1u);
    v[id.x] = 2u;
    out[id.y] = v[id.z] + vec2<u32>(id.xy)[id.x];
    out[0] = out[2];
    let table = array<i32, 3>(1, 2, 3);
    out[1] = u32(table[id.x]);
}

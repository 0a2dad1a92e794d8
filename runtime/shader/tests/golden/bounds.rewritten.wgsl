struct Item {
    key: u32,
    words: array<vec4<u32>, 4>,
}

struct List {
    count: u32,
    items: array<Item>,
}

@group(0) @binding(0) 
var<storage> list: List;
@group(0) @binding(1) 
var<storage, read_write> out: array<u32>;

@compute @workgroup_size(64, 1, 1) 
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    var stack: array<u32, 32>;
    var v: vec3<u32> = vec3(1u);
    var local: Item;

    let _e6 = arrayLength((&list.items));
    let _e12 = list.items[min(id.x, (_e6 - 1u))];
    local = Item();
    if (id.x < _e6) {
        local = _e12;
    }
    let item = local;
    let _e19 = arrayLength((&list.items));
    let _e40 = list.items[min(id.x, (_e19 - 1u))].words[min(id.y, 3u)][min(id.z, 3u)];
    let deep = select(0u, _e40, (((id.x < _e19) && (id.y < 4u)) && (id.z < 4u)));
    let _e46 = arrayLength((&list.items));
    let _e57 = bitcast<u32>((i32(id.x) - 2i));
    let _e64 = list.items[min(3u, (_e46 - 1u))].words[min(_e57, 3u)];
    let signed = select(vec4(0u), _e64, ((3u < _e46) && (_e57 < 4u)));
    stack[(id.x & 31u)] = deep;
    let _e75 = (id.x & 63u);
    if (_e75 < 32u) {
        stack[min(_e75, 31u)] = item.key;
    }
    stack[7] = signed.x;
    let _e86 = arrayLength((&out));
    let _e89 = (id.x < _e86);
    let p = (&out[min(id.x, (_e86 - 1u))]);
    let _e92 = (*p);
    let _e101 = stack[min(id.y, 31u)];
    if _e89 {
        (*p) = (select(0u, _e92, _e89) + select(0u, _e101, (id.y < 32u)));
    }
    if (id.x < 3u) {
        v[min(id.x, 2u)] = 2u;
    }
    let _e117 = arrayLength((&out));
    let _e129 = v[min(id.z, 2u)];
    if (id.y < _e117) {
        out[min(id.y, (_e117 - 1u))] = (select(0u, _e129, (id.z < 3u)) + select(0u, vec2<u32>(id.xy)[min(id.x, 1u)], (id.x < 2u)));
    }
    let _e147 = arrayLength((&out));
    let _e153 = out[min(2u, (_e147 - 1u))];
    out[0] = select(0u, _e153, (2u < _e147));
    let table = array<i32, 3>(1i, 2i, 3i);
    let _e162 = arrayLength((&out));
    if (1u < _e162) {
        out[min(1u, (_e162 - 1u))] = u32(select(0i, table[min(id.x, 2u)], (id.x < 3u)));
    }
    return;
}

// A skeleton: every cell of a grid is made from cells around it as they were before.
//
// The shader declares `Cell`, a type, and `fn stencil_cell(at: vec2<i32>) -> Cell`, which reads cells with stencil_clamped
// or stencil_wrapped. It may read buffers of its own from binding 3 on. Dispatched by p2c2r_guest::skeleton::stencil.
// p2c2r: needs Cell
// p2c2r: needs stencil_cell

// Columns and rows.
@group(0) @binding(0) var<storage, read> stencil_size: vec2<u32>;

// Row by row.
@group(0) @binding(1) var<storage, read> stencil_from: array<Cell>;

@group(0) @binding(2) var<storage, read_write> stencil_to: array<Cell>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < arrayLength(&stencil_to) {
        stencil_to[id.x] = stencil_cell(vec2<i32>(i32(id.x % stencil_size.x), i32(id.x / stencil_size.x)));
    }
}

// The cell as it was; past an edge, the nearest one.
fn stencil_clamped(at: vec2<i32>) -> Cell {
    let inside = clamp(at, vec2<i32>(), vec2<i32>(stencil_size) - 1);
    return stencil_from[u32(inside.y) * stencil_size.x + u32(inside.x)];
}

// The cell as it was; past an edge, that of the other side. `at` is at most one grid away.
fn stencil_wrapped(at: vec2<i32>) -> Cell {
    let size = vec2<i32>(stencil_size);
    let inside = (at + size) % size;
    return stencil_from[u32(inside.y) * stencil_size.x + u32(inside.x)];
}

// A skeleton: every cell of a plane is made from cells around it as they were before. As `stencil`, but in workgroups of 8 by
// 8 cells, which share most of what they read.
//
// The shader declares `Cell`, a type, and `fn stencil2d_cell(at: vec2<i32>) -> Cell`, which reads cells with
// stencil2d_clamped or stencil2d_wrapped, that dx to the right and dy below at `at + vec2<i32>(dx, dy)`. It may read buffers
// of its own from binding 3 on. Dispatched by p2c2r_guest::skeleton::stencil2d.
// p2c2r: needs Cell
// p2c2r: needs stencil2d_cell

// Columns and rows.
@group(0) @binding(0) var<storage, read> stencil2d_size: vec2<u32>;

// Row by row. Read where it lies: for a tile of it in workgroup memory it would have to be known how far the shader looks.
@group(0) @binding(1) var<storage, read> stencil2d_from: array<Cell>;

@group(0) @binding(2) var<storage, read_write> stencil2d_to: array<Cell>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    // PLANE_SIDE of p2c2r_guest::limits: no plane is wider, and with it the race check sees that no place wraps.
    let width = min(stencil2d_size.x, 8192u);
    if id.x < width && id.y < stencil2d_size.y {
        stencil2d_to[id.y * width + id.x] = stencil2d_cell(vec2<i32>(id.xy));
    }
}

// The cell as it was; past an edge, the nearest one.
fn stencil2d_clamped(at: vec2<i32>) -> Cell {
    let inside = clamp(at, vec2<i32>(), vec2<i32>(stencil2d_size) - 1);
    return stencil2d_from[u32(inside.y) * stencil2d_size.x + u32(inside.x)];
}

// The cell as it was; past an edge the plane begins again at the other side, however far it is.
fn stencil2d_wrapped(at: vec2<i32>) -> Cell {
    let size = vec2<i32>(stencil2d_size);
    let rest = at % size;
    let inside = select(rest, rest + size, rest < vec2<i32>());
    return stencil2d_from[u32(inside.y) * stencil2d_size.x + u32(inside.x)];
}

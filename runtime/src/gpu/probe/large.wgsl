// Every word of a large buffer is written, by as many invocations.
@group(0) @binding(0) var<storage, read> inputs: array<u32>;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let at = id.y * 16384u + id.x;
    words[at] = (at ^ inputs[0]) * 2654435761u;
}

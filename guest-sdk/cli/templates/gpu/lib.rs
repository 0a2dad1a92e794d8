//! Kernel `NAME`: mixes numbers in a shader, `shaders/mix.wgsl`.

use p2c2r_guest::{Context, Failure, Postcard, kernel, random, skeleton};

/// The kernel: numbers in, as many out, one unit a number.
///
/// # Errors
/// A failure with code 1 if there are none.
#[kernel]
pub fn mix(ctx: &mut Context, Postcard(numbers): Postcard<Vec<u32>>) -> Result<Postcard<Vec<u32>>, Failure> {
    if numbers.is_empty() {
        return Err(Failure::new(1, "nothing to mix"));
    }
    ctx.charge(numbers.len() as u64);
    let Some(gpu) = ctx.gpu() else {
        return Ok(Postcard((0..).zip(numbers).map(|(at, number)| mixed(at, number)).collect()));
    };
    let items = gpu.buffer_from(&numbers)?;
    skeleton::map(&gpu, "mix", &items, &[])?;
    Ok(Postcard(items.to_vec()?))
}

/// What the shader makes of the number at place `at`, with the same bits; `p2c2r run --check` compares the two.
#[must_use]
pub const fn mixed(at: u32, number: u32) -> u32 {
    random::hash(number ^ at)
}
